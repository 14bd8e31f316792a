#!/usr/bin/env bash
# The READMEs: what they quote, link to and map is there.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
n_passed=0 n_failed=0
check() { # CLAIM COMMAND...
    local claim=$1
    shift
    if "$@"; then n_passed=$((n_passed + 1)); else n_failed=$((n_failed + 1)) && echo "not ok - $claim"; fi
}
check 'the checker finds what it must' node tests/cli/readme.mjs --self-test
check 'each quoted message stands in the sources, each link leads somewhere, each room is on its map' node tests/cli/readme.mjs
echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
