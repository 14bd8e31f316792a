#!/usr/bin/env bash
# The front program: it finds its siblings, hands everything on, and answers slips itself.
#
# usage: tests/cli/front.sh [FOLDER OF THE PROGRAMS]      last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bin=${1:-build/release/bin}

mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/front.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
n_passed=0 n_failed=0
version=$(sed -n "s/^#define WS_VERSION \"\(.*\)\"/\1/p" include/webstill/stage/cli.h)

# expect CLAIM EXIT-CODE OUTPUT COMMAND...: standard output and error together are exactly OUTPUT
expect() {
    local claim=$1 code=$2 output=$3 found found_code
    shift 3
    found=$("$@" 2>&1)
    found_code=$?
    if [ "$found_code" = "$code" ] && [ "$found" = "$output" ]; then
        n_passed=$((n_passed + 1))
        echo "ok $((n_passed + n_failed)) - $claim"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $((n_passed + n_failed)) - $claim"
        printf 'expected (exit code %s): %s\nfound (exit code %s): %s\n' "$code" "$output" "$found_code" "$found" | sed 's/^/# /'
    fi
}

# Siblings that say what they were given; the front is the real one.
beside=$scratch/beside elsewhere=$scratch/elsewhere alone=$scratch/alone
mkdir -p "$beside" "$elsewhere" "$alone"
for program in crawl store curate distill; do
    printf '#!/bin/sh\necho "beside %s: $*"\nexit 7\n' "$program" >"$beside/webstill-$program"
    printf '#!/bin/sh\necho "on PATH %s: $*"\n' "$program" >"$elsewhere/webstill-$program"
done
chmod +x "$beside"/* "$elsewhere"/*
cp "$bin/webstill" "$beside/" && cp "$bin/webstill" "$alone/" || exit 1

expect "a sibling beside the front is run with all arguments and its exit code" 7 \
    "beside crawl: crawl a.yaml -o x=y --limit 3" "$beside/webstill" crawl a.yaml -o x=y --limit 3
for pair in store:store report:store status:store inspect:store verify:store explain:store config:store \
    curate:curate teacher:distill score:distill distill:distill eval:distill export:distill; do
    expect "${pair%:*} belongs to webstill-${pair#*:}" 7 "beside ${pair#*:}: ${pair%:*} a.yaml" \
        "$beside/webstill" "${pair%:*}" a.yaml
done
expect "an argument with spaces stays one" 7 "beside store: inspect a b" "$beside/webstill" inspect "a b"
expect "PATH is searched when there is no sibling beside the front" 0 "on PATH crawl: crawl x" \
    env PATH="$elsewhere:$PATH" "$alone/webstill" crawl x
expect "the sibling beside the front comes before PATH" 7 "beside crawl: crawl x" \
    env PATH="$elsewhere:$PATH" "$beside/webstill" crawl x
ln -s "$beside/webstill" "$scratch/link"
expect "a link to the front finds the siblings of its target" 7 "beside crawl: crawl x" "$scratch/link" crawl x
expect "a missing program is named with the way out" 3 \
    "webstill: webstill-crawl, beside webstill or on PATH: No such file or directory
webstill: hint: \`make\` builds all programs into one folder; keep them together" "$alone/webstill" crawl x
expect "an unknown command names the nearest" 2 \
    "webstill: unknown command \"distil\"; did you mean \"distill\"?
webstill: hint: \`webstill --help\` lists the commands" "$beside/webstill" distil a.yaml
expect "an unknown option is a usage error" 2 \
    "webstill: unknown option \"--verbose\"
webstill: hint: \`webstill --help\` lists the commands" "$beside/webstill" --verbose
expect "help CMD asks the sibling" 7 "beside distill: eval --help" "$beside/webstill" help eval
expect "--version asks every sibling" 0 "webstill $version
on PATH crawl: --version
on PATH store: --version
on PATH distill: --version
on PATH curate: --version" env PATH="$elsewhere:$PATH" "$alone/webstill" --version
names='crawl|store|teacher|score|curate|distill|eval|export|report|status|inspect|verify|explain|config'
expect "--help lists a line for each command" 0 14 \
    bash -c '"$1/webstill" --help | grep -cE "^  ($2) "' - "$beside" "$names"
expect "no command is a usage error that shows the help" 2 "$("$beside/webstill" --help)" "$beside/webstill"

echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
