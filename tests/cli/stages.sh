#!/usr/bin/env bash
# The table of stages (store/stage/table.c) as make and the front show it: a target, a rule, a line of help and a program
# for each row.
#
# usage: tests/cli/stages.sh [FOLDER OF THE PROGRAMS]     last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bin=${1:-build/release/bin}

mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/stages.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
n_passed=0 n_failed=0

check() { # CLAIM COMMAND...: the claim holds when the command succeeds
    local claim=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        n_passed=$((n_passed + 1))
        echo "ok $((n_passed + n_failed)) - $claim"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $((n_passed + n_failed)) - $claim"
        sed 's/^/# /' "$scratch/said" | head -n 8
    fi
}
equal() { [ "$1" = "$2" ] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }
has() { grep -qF -- "$1" || { echo "expected a line with: $1"; return 1; }; }
config=configs/web-small.yaml
plan() { make -n --no-print-directory "$1" CONFIG=$config WORK="$scratch/work" OPTS="${2:-}"; }

"$bin/webstill" config $config --write "$scratch/rules"
rows=$(sed -n 's/^\([a-z]*\): .*/\1/p' "$scratch/rules/stages.mk" | tr '\n' ' ')
rows=${rows% }
check 'make help lists the rows of the table' equal "  make $rows" "$(make help | grep '^  make crawl ')"
check 'and needs no program for that' equal "  make $rows" "$(make help MODE=unbuilt | grep '^  make crawl ')"
planned=$(plan report | sed -n 's/.*webstill \([a-z]*\) configs.*/\1/p' | sort | tr '\n' ' ')
check 'make report plans every row' equal "$(tr ' ' '\n' <<<"$rows" | sort | tr '\n' ' ')" "$planned"
for row in $rows; do
    ends() { plan "$row" | tail -n 1 | has "webstill $row $config "; }
    check "make $row ends with its command" ends
    helped() { "$bin/webstill" --help | has "  $(printf '%-8s' "$row")  " && "$bin/webstill" "$row" --help | has "Usage: webstill $row "; }
    check "the front has a line for $row, and its program knows it" helped
done
without() { plan report '-o crawl.sources=[]' >"$scratch/plan" && ! grep -q 'webstill crawl' "$scratch/plan"; }
check 'without a place to crawl make plans no crawl' without
refused() { ! plan store '-o no=1' && [ ! -e "$scratch/work/store" ]; }
check 'make ends where the configuration is not usable' refused

echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
