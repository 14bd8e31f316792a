#!/usr/bin/env bash
# `webstill config`: what the front, webstill-store and the configuration say together.
#
# usage: tests/cli/config.sh [FOLDER OF THE PROGRAMS]     last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bin=${1:-build/release/bin}

mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/config.XXXXXX")
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
config() { "$bin/webstill" config "$@"; }

for file in configs/*.yaml; do
    config "$file" >"$scratch/first.yaml" 2>"$scratch/said" && config "$scratch/first.yaml" >"$scratch/second.yaml"
    check "$file: what is printed loads and prints the same" cmp "$scratch/first.yaml" "$scratch/second.yaml"
done

printf 'classes: [cat, dog]\ndistill:\n  batchsize: 64\n' >"$scratch/wrong.yaml"
said=$(config "$scratch/wrong.yaml" 2>&1)
check "an unknown key ends with code 2" equal 2 $?
check "an unknown key is told with file, line and the nearest name" equal \
    "webstill-store: $scratch/wrong.yaml:3: unknown key \"batchsize\" in section \"distill\"; did you mean \"batch\"?
webstill-store: hint: configs/reference.yaml documents every key" "$said"
config "$scratch/absent.yaml" >"$scratch/said" 2>&1
check "an absent file ends with code 2" equal 2 $?

config configs/web-small.yaml --write "$scratch/conf"
touch -d '2001-01-01' "$scratch"/conf/*
config configs/web-small.yaml --write "$scratch/conf" -o curate.p_cutoff=0.9 -o threads=3
check "--write touches the stages that depend on what changed, and no others" equal " curate.yaml distill.yaml " \
    " $(find "$scratch/conf" -type f -newermt 2002-01-01 -printf '%f\n' | sort | tr '\n' ' ')"

echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
