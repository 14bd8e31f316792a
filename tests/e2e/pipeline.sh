#!/usr/bin/env bash
# The whole still on the small web: from class names to student.onnx and a report, by `make`, held against what the web
# knows of itself.
#
# usage: tests/e2e/pipeline.sh       scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin pipeline
work=$scratch/work
begin_s=$SECONDS
lap() { echo "# $1: $((SECONDS - begin_s)) s"; }

declare -A folder=([score]=scores [curate]=selection [distill]=runs)
manifest() { echo "$work/${folder[$1]:-$1}/manifest.json"; }
time_of() { stat -c %.9Y "$(manifest "$1")"; }
make_it() { make --no-print-directory "$1" CONFIG="$config" WORK="$work" OPTS="${OPTS:---threads 2}"; }
built() { run make_it "$1"; ended 0 "${@:2}"; }

# ---- from nothing ----

check 'the small web is served' serve
check 'make pipeline ends' built pipeline
lap 'make pipeline'
whole() {
    local s
    for s in "${pipeline_stages[@]}"; do [ -s "$(manifest "$s")" ] || { echo "no $(manifest "$s")"; return 1; }; done
}
check 'every stage has its manifest' whole

# ---- again ----

declare -A before
remember() { local s; for s in "${pipeline_stages[@]}"; do before[$s]=$(time_of "$s"); done; }
untouched() { local s; for s in "$@"; do equal "$s ${before[$s]}" "$s $(time_of "$s")" || return 1; done; }
touched() { local s; for s in "$@"; do differ "$s ${before[$s]}" "$s $(time_of "$s")" || return 1; done; }
remember
requests=$(wc -l <"$(access_log)")
check 'a second make pipeline does nothing and says so' built pipeline 'is up to date' "$work/report/index.html"
check 'no manifest is touched' untouched "${pipeline_stages[@]}"
stages_are_current() {
    local s
    for s in "${pipeline_stages[@]}"; do
        run stage "$s" "$work"
        ended 0 'up to date' || { echo "stage $s"; return 1; }
    done
}
check 'each program says so, too' stages_are_current
check 'nothing is asked of the web again' equal "$requests" "$(wc -l <"$(access_log)")"

alone() {
    rm "$(manifest "$1")"
    built "$1" && [ -s "$(manifest "$1")" ]
}
for s in "${pipeline_stages[@]}"; do check "make $s makes what is missing of $s" alone "$s"; done
check 'nothing is asked of the web for that' equal "$requests" "$(wc -l <"$(access_log)")"
built pipeline
remember
cp "$config" "$scratch/before.yaml"
sed -i 's/^\(distill:.*\)$/\1\n  weight_decay: 0.0001/' "$config"
check 'a change in distill: is taken up' built pipeline
check 'a change in distill: leaves what does not depend on it' untouched crawl store teacher score
check 'a change in distill: makes what depends on it anew' touched distill eval export report
lap 'again and changed'

# ---- what the web knows ----

reconcile() { node tests/e2e/reconcile.mjs "$1" "$web" "$work" "$scratch/server"; }
check 'every reachable picture of a class is in the store' reconcile classes
check 'broken pictures are refused, each under a reason' reconcile corrupt
check 'each distinct picture is stored or refused, once' reconcile once
check 'fetched = stored + duplicates + refused' reconcile funnel
# The reader that store/README.md gives a stranger, run as it stands there.
readme_reader() {
    sed -n '/^```python$/,/^```$/p' store/README.md | sed '1d;$d' >"$scratch/reader.py"
    /usr/bin/python3 "$scratch/reader.py" "$work/store" >"$scratch/read" &&
        equal "$(value "$work/store/manifest.json" .counts.images)" "$(wc -l <"$scratch/read")" &&
        equal 0 "$(grep -cv ' http' "$scratch/read")"
}
check 'the reader of store/README.md reads each picture and where it was found' readme_reader
check 'robots.txt comes first, nothing forbidden is asked for, the agent says who asks' reconcile manners

# The server's clock is that of the answers' ends, so the delay is held against the whole span.
polite=$scratch/polite
slowly() {
    : >"$(access_log)"
    run stage crawl "$polite" -o crawl.delay_ms=300 -o crawl.per_host=1 -o crawl.max_pages=3 -o crawl.max_depth=1 \
        -o "crawl.sources=[{kind: pages, url: \"http://private.fashion.test:$port/\"}]"
    ended 0
}
check 'a crawl with a delay ends' slowly
spaced() {
    awk -F '\t' -v least=0.3 '
        { if (n[$1]++) last[$1] = $4; else first[$1] = last[$1] = $4 }
        END {
            for (host in n) {
                if (n[host] > most) most = n[host]
                span = last[host] - first[host]
                if (span >= (n[host] - 1) * least - 0.1) continue
                print host ": " n[host] " requests in " span " s"
                bad = 1
            }
            if (most < 4) { print "expected at least 4 requests to a host, found " most; bad = 1 }
            exit bad
        }' "$(access_log)"
}
check 'it keeps the delay' spaced

# ---- looking into it ----

ask() { run stage "$@"; }
id=$(mdb_dump -s images "$work/store" | sed -n 's/^ \([0-9a-f]\{32\}\)$/\1/p' | head -n 1)
url=$(stage explain "$work" "$id" --json | jq -r '.origins[0].url')
explained() { ask explain "$work" "$1" && ended 0 "${@:2}"; }
check 'explain tells the story of an image id' explained "$id" "$id" 'http://' 'kd3'
check 'explain tells the same of its URL' explained "$url" "$id"
check 'explain takes the beginning of an id' explained "${id:0:10}" "$id"
row=$(mdb_dump -s refused "$work/store" | grep '^ 7b22' | head -n 1)
# shellcheck disable=SC2059  # the bytes are the format
refused=$(printf "$(sed 's/^ //; s/../\\x&/g' <<<"$row")" | jq -r .url)
check 'explain tells why a picture was refused' explained "$refused" 'not stored: '
forbidden=$(jq -r 'select(.reason | test("robots")) | .url' "$work/crawl/failures.jsonl" | head -n 1)
check 'explain tells what robots.txt forbade' explained "$forbidden" 'robots'
unknown() { ask explain "$work" http://nowhere.test/a.png && ended 2 'neither stored, nor refused' 'hint: '; }
check 'explain says that it never saw a URL' unknown
status_lines() { ask status "$work" && ended 0 && at_least 10 "$(grep -c ' done ' "$scratch/output")"; }
check 'status says that every stage is done' status_lines
status_json() { stage status "$work" --json | jq -e 'tostring | length > 100'; }
check 'status --json is JSON' status_json
foreign=$scratch/foreign
without_crawl() {
    run make --no-print-directory store CONFIG="$config" WORK="$foreign" \
        OPTS="-o crawl.sources=[] -o store.warc=[$work/crawl]"
    ended 0 && ! [ -e "$foreign/crawl" ] && equal "$(store_digest "$work")" "$(store_digest "$foreign")"
}
check "without a place to crawl, make store reads the WARC files of others" without_crawl
inspected() { run "$bin/webstill" inspect "$1"; ended 0 "${@:2}"; }
check 'inspect knows a WARC' inspected "$(find "$work/crawl" -name '*.warc.gz' | head -n 1)" response metadata
check 'inspect knows the store' inspected "$work/store" 'image'
check 'inspect knows a student' inspected "$work/runs/kd3/student.safetensors" resnet8
check 'inspect knows a manifest' inspected "$(manifest store)" store
verified() { ask verify "$work" && ended 0 ' 0 bad'; }
check 'verify finds no damage' verified

# ---- what comes out ----

onnx() {
    stage score "$work" --model "$work/runs/$1/student.safetensors" || return 1
    node tests/e2e/store_batch.mjs "$work" "$work/scores/$1.safetensors" "$scratch/batch.safetensors" || return 1
    node tests/format/onnx_check.mjs "$work/runs/$1/student.onnx" "$scratch/batch.safetensors"
}
for method in kd3 ce; do
    onnx $method >"$scratch/onnx.log" 2>&1
    code=$?
    if [ $code = 77 ]; then
        skip "onnxruntime gives student.onnx of $method our logits" "$(tail -n 1 "$scratch/onnx.log")"
    else
        told() { cat "$scratch/onnx.log"; equal 0 $code; }
        check "onnxruntime gives student.onnx of $method our logits" told
    fi
done

page=$work/report/index.html
self_contained() { ! grep -oE '(src|href)="(https?:)?//[^"]*"' "$page" | grep -v 'href='; }
check 'the report fetches nothing' self_contained
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ]; then
    check 'a browser shows the figures of the files, on a phone too, and its console stays empty' \
        timeout 60 node tests/e2e/report_browser.mjs "$work" "$scratch" '' "$browser"
else
    skip 'a browser shows the figures of the files' 'no chromium on this machine, and none could be installed'
fi

# ---- threads ----

# The same learning on one thread, with OpenBLAS told to use eight; the pipeline above ran on two.
cp "$work/runs/kd3/student.safetensors" "$scratch/two.safetensors"
one=$scratch/one
mkdir "$one"
cp -a "$work/crawl" "$work/store" "$one/"
one_thread() { local s; for s in teacher distill; do OPENBLAS_NUM_THREADS=8 OMP_NUM_THREADS=8 run stage $s "$one" --threads 1; ended 0 || return 1; done; }
check 'teacher and distill end on one thread' one_thread
same_run() {
    local file
    for file in teacher/teacher runs/kd3/student runs/kd3/best runs/ce/student; do
        same_file "$work/$file.safetensors" "$one/$file.safetensors" || return 1
    done
}
check 'one thread and two give the same bytes, whatever OPENBLAS_NUM_THREADS says' same_run
lap 'all'

finish
