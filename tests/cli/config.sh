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
# Each program knows its own keys, and every command has the others check theirs: a typo anywhere stops any of them.
for typo in crawl:retires:retries store:sise:size teacher:ephocs:epochs score:bach:batch curate:quata:quota \
    distill:holdut:holdout distill.kd3:mixalpha:mix_alpha eval:shft:shift export:opst:opset report:titel:title; do
    IFS=: read -r section key known <<<"$typo"
    for command in crawl curate status distill; do
        said=$("$bin/webstill" "$command" configs/web-small.yaml --work "$scratch/none" -o "$section.$key=1" 2>&1)
        code=$?
        program=$command
        [ "$command" = status ] && program=store
        check "webstill $command refuses a typo in section $section" equal \
            "2 webstill-$program: -o $section.$key=1: unknown key \"$key\" in section \"$section\"; did you mean \"$known\"?
webstill-$program: hint: configs/reference.yaml documents every key" "$code $said"
    done
done
mkdir "$scratch/alone" && cp "$bin/webstill-curate" "$bin/webstill-store" "$scratch/alone"
said=$(env PATH=/usr/bin:/bin "$scratch/alone/webstill-curate" config configs/web-small.yaml 2>&1)
check "without the program that owns a section, the whole cannot be printed" equal "3 webstill-curate: webstill-crawl, \
beside webstill or on PATH: No such file or directory" "$? $(head -n 1 <<<"$said")"
said=$(env PATH=/usr/bin:/bin "$scratch/alone/webstill-curate" config configs/web-small.yaml --section curate 2>&1 | head -n 1)
check "one's own section can" equal "curate:" "$said"

config --reference >"$scratch/reference.yaml"
check "configs/reference.yaml is what the programs print (make reference writes it)" \
    cmp configs/reference.yaml "$scratch/reference.yaml"
config "$scratch/absent.yaml" >"$scratch/said" 2>&1
check "an absent file ends with code 2" equal 2 $?

config configs/web-small.yaml --write "$scratch/conf"
touch -d '2001-01-01' "$scratch"/conf/*
config configs/web-small.yaml --write "$scratch/conf" -o curate.p_cutoff=0.9 -o threads=3
check "--write touches the stages that depend on what changed, and no others" equal " curate.yaml distill.yaml " \
    " $(find "$scratch/conf" -type f -newermt 2002-01-01 -printf '%f\n' | sort | tr '\n' ' ')"

echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
