#!/usr/bin/env bash
# kill -9 and SIGTERM at any instant of any stage: the same command goes on, does nothing twice, and ends with the same
# bytes as an undisturbed run.
#
# usage: tests/e2e/kill.sh [SEED]       scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
#
# An undisturbed run comes first and is timed. Before each of its stages the working directory is copied; in the copy
# the same stage is killed at instants drawn from the seed, started again until it ends, and compared. Crawl and the
# training stages get a SIGTERM among the kills.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin kill
RANDOM=${1:-7}

ref=$scratch/ref
short=(-o teacher.checkpoint_s=1 -o distill.checkpoint_s=1)
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# interrupt SIGNAL MS STAGE WORK: starts a stage and sends the signal after MS; leaves the exit code in $code.
interrupt() {
    local pid
    # Not stage(): the signal is for the program, not for a shell around it.
    "$bin/webstill" "$3" "$config" --work "$4" "${short[@]}" >>"$scratch/$3.log" 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
    kill "-$1" $pid 2>/dev/null
    wait $pid 2>/dev/null
    code=$?
}

# harass STAGE WORK KILLS: kills the stage at random instants of its length, then lets it end. A stage that was faster
# than the clock said before the first kill begins again, with less time.
n_hits=0
harass() {
    local length=${length_ms[$1]} i
    n_hits=0
    for ((i = 0; i < $3; i++)); do
        interrupt KILL $((length * (5 + RANDOM % 60) / 100)) "$1" "$2"
        if [ $code = 137 ]; then
            n_hits=$((n_hits + 1))
        elif [ $code = 0 ] && [ $n_hits = 0 ]; then
            rm -rf "$2"
            cp -a "$scratch/before" "$2"
            length=$((length / 2))
        else
            break
        fi
    done
    run stage "$1" "$2" "${short[@]}"
    cat "$scratch/output" >>"$scratch/$1.log"
    ended 0 && at_least 1 $n_hits
}

terminate() { # STAGE WORK: SIGTERM in the middle; the same when the stage was faster than that
    local at=$((length_ms[$1] * 2 / 5))
    interrupt TERM $at "$1" "$2"
    while [ $code = 0 ] && [ $at -gt 10 ]; do
        rm -rf "$2"
        cp -a "$scratch/before" "$2"
        at=$((at / 2))
        interrupt TERM $at "$1" "$2"
    done
    equal 11 $code && has 'run the same command again' <"$scratch/$1.log" || { tail -n 5 "$scratch/$1.log"; return 1; }
}

declare -A length_ms
reference() { # STAGE
    local begin
    begin=$(now_ms)
    run stage "$1" "$ref" "${short[@]}"
    length_ms[$1]=$(($(now_ms) - begin))
    ended 0
}
# What is on disk before STAGE: to go back to, and to work in.
copy() {
    rm -rf "${scratch:?}/$1" "$scratch/before"
    cp -a "$ref" "$scratch/before"
    cp -a "$ref" "$scratch/$1"
}
same_metrics() { diff <(timeless "$ref/$1/metrics.jsonl") <(timeless "$2/$1/metrics.jsonl"); }
same_list() { # WORK FILE...
    local file
    for file in "${@:2}"; do same_file "$ref/$file" "$1/$file" || return 1; done
}

# ---- crawl ----

mkdir -p "$ref"
serve || { cat "$scratch/serve.log"; exit 1; }
log=$(access_log)
requests() { cut -f 1,2 "$1" | LC_ALL=C sort; }
check 'crawl ends undisturbed' reference crawl
cp "$log" "$scratch/undisturbed.log"
: >"$log"
work=$scratch/crawl
mkdir "$work"
# Most of a crawl's time is waiting for the slow host, so here the instants are drawn by requests: kill_crawl REQUESTS
kill_crawl() {
    local pid target=$(($(wc -l <"$log") + $1))
    "$bin/webstill" crawl "$config" --work "$work" >>"$scratch/crawl.log" 2>&1 &
    pid=$!
    while [ "$(wc -l <"$log")" -lt $target ] && kill -0 $pid 2>/dev/null; do :; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ $? != 137 ] || n_hits=$((n_hits + 1))
}
interrupted() { # the slow host is left, at least
    interrupt TERM 300 crawl "$work"
    equal 11 $code && has 'run the same command again' <"$scratch/crawl.log"
}
harass_crawl() {
    run stage crawl "$work"
    cat "$scratch/output" >>"$scratch/crawl.log"
    ended 0 && at_least 4 $n_hits
}
n_hits=0
for ((i = 0; i < 6; i++)); do kill_crawl $((8 + RANDOM % 50)); done
check 'crawl: SIGTERM ends it with code 11' interrupted
check 'crawl ends after kills at random instants' harass_crawl
n_stops=$((n_hits + 1)) # the SIGTERM, too
cp "$log" "$scratch/disturbed.log"
echo "# crawl: ${length_ms[crawl]} ms, $n_hits kills"
# What a stop may cost: the batch that was not committed, and what was in flight.
crawl_key() { stage config "$ref" --section crawl | sed -n "s/^ *$1: *//p"; }
repeated() {
    local n
    n=$(($(wc -l <"$scratch/disturbed.log") - $(wc -l <"$scratch/undisturbed.log")))
    at_most $((n_stops * ($(crawl_key commit_every) + $(crawl_key concurrency)))) "$n"
}
check 'crawl: a kill repeats at most the open batch' repeated
pictures_once() { equal "" "$(requests "$scratch/undisturbed.log" | grep -E '\.(png|jpg|webp|gif)$' | uniq -d)"; }
check 'crawl: undisturbed, no picture is asked for twice' pictures_once
often() {
    local most
    most=$(requests "$scratch/disturbed.log" | grep -E '\.(png|jpg|webp|gif)$' | uniq -c | sort -n | tail -n 1)
    at_most $((n_stops + 1)) "$(awk '{ print $1 }' <<<"$most")" || { echo "$most"; return 1; }
}
check 'crawl: a kill repeats a picture at most once' often
same_urls() { diff <(requests "$scratch/undisturbed.log" | uniq) <(requests "$scratch/disturbed.log" | uniq); }
check 'crawl: the same URLs are asked for' same_urls
# The archive's records by type and target. Pages and answers are there as often as they were asked for.
# Which URL of two with the same bytes came first, and which is the revisit, is the order of the transfers.
records() {
    zcat "$1"/crawl/*.warc.gz | tr -d '\r' |
        awk '/^WARC-Type: / { type = $2 } /^WARC-Target-URI: / { print type, $2 }' | sed 's/^revisit/response/' |
        LC_ALL=C sort
}
same_records() { diff <(records "$ref") <(records "$work"); }
check 'crawl: the same records in the archive, none twice' same_records
counts() { value "$1/crawl/manifest.json" '.counts | del(.bytes)'; }
same_counts() { diff <(counts "$ref") <(counts "$work"); }
check 'crawl: the same counts' same_counts
crawled_store() { run stage store "$work" && ended 0; }
check 'the store of the disturbed crawl' crawled_store

# ---- store ----

copy store
check 'store ends undisturbed' reference store
check 'both crawls give the same store digest' equal "$(store_digest "$ref")" "$(store_digest "$work")"
work=$scratch/store
check 'store ends after kills at random instants' harass store "$work" 6
echo "# store: ${length_ms[store]} ms, $n_hits kills"
check 'store: the same digest' equal "$(store_digest "$ref")" "$(store_digest "$work")"
same_tables() {
    local table
    for table in images origins urls refused; do
        diff <(mdb_dump -s $table "$ref/store") <(mdb_dump -s $table "$work/store") >"$scratch/diff" ||
            { echo "table $table"; head -n 4 "$scratch/diff"; return 1; }
    done
}
check 'store: the same images, origins, URLs and refusals' same_tables
check 'store: the same counts' equal "$(value "$ref/store/manifest.json" .counts)" \
    "$(value "$work/store/manifest.json" .counts)"

# ---- the learning stages ----

declare -A folders=([teacher]=teacher [distill]=runs) # with metrics
learn() { # STAGE KILLS FILE...
    local name=$1 work=$scratch/$1 folder
    copy "$name"
    check "$name ends undisturbed" reference "$name"
    case $name in teacher | distill) check "$name: SIGTERM ends it with code 11" terminate "$name" "$work" ;; esac
    check "$name ends after kills at random instants" harass "$name" "$work" "$2"
    echo "# $name: ${length_ms[$name]} ms, $n_hits kills"
    check "$name: the same bytes" same_list "$work" "${@:3}"
    for folder in teacher runs/kd3 runs/ce; do
        [ "${folder%/*}" = "${folders[$name]:-}" ] || continue
        check "$name: the same metrics in $folder but for the clock" same_metrics "$folder" "$work"
    done
    rm -rf "$work"
}
went_on() { has 'going on behind step' <"$scratch/$1.log"; }

learn teacher 3 teacher/teacher.safetensors
check 'teacher goes on behind its checkpoint' went_on teacher
learn score 4 scores/teacher.safetensors
learn curate 4 selection/epoch.safetensors
students=()
for method in kd3 ce; do students+=("runs/$method/student.safetensors" "runs/$method/best.safetensors"); done
selections=()
for epoch in 1 2 3 4; do selections+=("runs/kd3/selection/epoch-00$epoch.safetensors"); done
learn distill 4 "${students[@]}" "${selections[@]}"
check 'distill goes on behind its checkpoint' went_on distill
learn eval 4 teacher/eval.json runs/kd3/eval.json runs/kd3/best-eval.json runs/ce/eval.json runs/ce/best-eval.json
learn export 4 runs/kd3/student.onnx runs/ce/student.onnx
learn report 3 report/index.html

finish
