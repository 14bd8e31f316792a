#!/usr/bin/env bash
# The report in a browser: every figure that a reader sees, held against the files that it was made of; no console message,
# no request, nothing cut off on a phone.
#
# usage: tests/e2e/report_browser.sh      scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "0 passed, 0 failed, all skipped: no chromium on this machine, and none could be installed"
    exit 0
}
maker=build/release/tests/e2e/make_workdir
[ -x $maker ] || make -s $maker >/dev/null || exit 1
mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/report_browser.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
work=$scratch/work
mkdir "$work"

made() {
    $maker "$work" 300 8 && node tests/e2e/made_up_results.mjs >"$scratch/results.jsonl" &&
        "$bin/webstill" report "$work/c.yaml" --work "$work" -o "report.results=$scratch/results.jsonl"
}
check 'a made-up working directory gives a report' made

timeout 60 node tests/e2e/report_browser.mjs "$work" "$scratch" "$scratch/results.jsonl" "$browser" >"$scratch/said" 2>&1
code=$?
cat "$scratch/said"
n_passed=$((n_passed + $(grep -c '^ok - ' "$scratch/said")))
n_failed=$((n_failed + $(grep -c '^not ok - ' "$scratch/said")))
[ $code -le 1 ] && [ "$n_passed" -gt 1 ] || n_failed=$((n_failed + 1))
echo "$n_passed passed, $n_failed failed"
[ $n_failed = 0 ]
