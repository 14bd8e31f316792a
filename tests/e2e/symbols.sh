#!/usr/bin/env bash
# Somebody else's teacher: detypify's network from its file to student.onnx, on the small web of symbols.
#
# usage: tests/e2e/symbols.sh       scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
open_scratch symbols
web=$PWD/build/web-symbols-small
work=$scratch/work config=$scratch/symbols.yaml
model=build/data/packages/detypify/train/model.onnx

for program in render symbols/glyph; do
    [ -x build/release/tests/web/$program ] || build_web "make -s build/release/tests/web/$program"
done
build_web 'tests/web/fetch-data.sh --symbols' 'node tests/web/symbols/build.mjs --small' \
    "node tests/web/symbols/adapt-teacher.mjs $model $scratch/small.onnx 32"
sed -e "s/:8191/:$port/g" -e "s,build/data/detypify-32.onnx,$scratch/small.onnx," \
    -e "s,build/web-symbols/,$web/," -e 's/epochs: .*/epochs: 2/' -e 's/steps_per_epoch: .*/steps_per_epoch: 3/' \
    -e '/^distill:/i curate: {p_cutoff: 0.001}' configs/web-symbols.yaml >"$config"
# Nobody is sure of one class in 411 after so few steps.

# ---- names and fonts ----

names_agree() {
    diff <(sed -n 's/^- {name: \([^,]*\), .*/\1/p' configs/web-symbols.yaml) \
        <(jq -r '.[].names[0]' build/data/packages/detypify/train/infer.json)
}
check "the configuration has the classes of the network, in its order" names_agree
chars_agree() {
    diff <("$bin/webstill" config configs/web-symbols.yaml | node tests/e2e/second_queries.mjs) \
        <(jq -r '.[].char' build/data/packages/detypify/train/infer.json)
}
check 'each class is searched by its character, the quote and the backslash among them' chars_agree
apart() { ! jq -r .name "$web/truth.jsonl" | grep -E 'Symbola|texgyre'; }
check 'no font of the held-out set is in the web' apart
complete() { equal 411 "$(find "$web/held-out" -mindepth 1 -type d | wc -l)"; }
check 'the held-out set has every class' complete

# ---- the stages ----

stages() {
    local s
    for s in "$@"; do
        run stage "$s" "$work" --threads 2
        ended 0 || { echo "stage $s"; return 1; }
    done
}
check 'the small web of symbols is served' serve
check 'crawl and store end' stages crawl store
asked() { grep -cE "gsrsearch=$1(%20|\\+|&|[[:space:]])" "$(access_log)"; }
odd_queries() { local q; for q in %22 %23 %5C %7B %26 %E2%86%90 Gamma gamma; do at_least 1 "$(asked "$q")" || { echo "$q"; return 1; }; done; }
check 'quotes, braces, arrows and capitals are asked for' odd_queries
answer_to() {
    curl -sS -A symbols/1 --resolve "search.symbols.test:$port:127.0.87.11" \
        "http://search.symbols.test:$port/w/api.php?action=query&format=xml&generator=search&gsrsearch=$1"
}
own_answers() { answer_to Gamma | has 'Γ Gamma' && answer_to gamma | has 'γ gamma' && answer_to gamma | has '<page'; }
check 'capital and small letters have their own answers' own_answers
check 'the network is imported, and the pool scored and curated by it' stages teacher score curate
fact() { equal "$1" "$(value "$work/teacher/manifest.json" "$2")"; }
check 'it is the network of 411 classes, for pictures of 32 x 32' fact '411 [1,32,32]' '"\(.facts.classes) \(.facts.input | tostring)"'
served() { equal '' "$(value "$work/teacher/manifest.json" '.facts.cannot_serve[] | select(.methods == "kd3") | .why')"; }
check 'it can serve kd3: its head goes on behind the pooling, and ends in one linear layer' served
check 'students are distilled, evaluated and exported' stages distill eval export report

# ---- what comes out ----

accurate() { at_least 55 "$(value "$work/teacher/eval.json" '.accuracy * 100 | floor')"; }
check 'the teacher, behind its enlargement, knows most symbols of a font it never saw' accurate
agreeing() { value "$work/runs/$1/eval.json" '.agreement' | grep -qE '^[0-9.]+(e-[0-9]+)?$'; }
for method in kd3 kd ce; do check "agreement of $method with the teacher is told" agreeing $method; done

with_onnxruntime() { # CLAIM COMMAND...
    local claim=$1
    shift
    "$@" >"$scratch/onnx.log" 2>&1
    code=$?
    if [ $code = 77 ]; then
        skip "$claim" "$(tail -n 1 "$scratch/onnx.log")"
    else
        told() { cat "$scratch/onnx.log"; equal 0 $code; }
        check "$claim" told
    fi
}
with_onnxruntime 'the enlarged network is the network on an enlarged picture' \
    node tests/e2e/adapt_check.mjs $model "$scratch/small.onnx"
onnx() {
    stage score "$work" --model "$work/runs/kd3/student.safetensors" || return 1
    node tests/e2e/store_batch.mjs "$work" "$work/scores/kd3.safetensors" "$scratch/batch.safetensors" || return 1
    node tests/format/onnx_check.mjs "$work/runs/kd3/student.onnx" "$scratch/batch.safetensors"
}
with_onnxruntime 'onnxruntime gives student.onnx of kd3 our logits' onnx

finish
