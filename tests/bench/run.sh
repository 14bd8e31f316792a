#!/bin/sh
# The engine's steps beside PyTorch's, in one run: contenders alternate within a round, so that a busy machine is busy for
# all. README.md explains rows and columns. Writes build/bench/distill.json. From the environment:
#   ROWS=kd3-28,frozen-resnet20   rows to run (all)      ROUNDS (3)      BENCH_SECONDS (3) for each figure      THREADS (2)
set -eu

ROUNDS=${ROUNDS:-3} BENCH_SECONDS=${BENCH_SECONDS:-3} THREADS=${THREADS:-2} ROWS=${ROWS:-}
BENCH=${BENCH:-build/release/tests/bench/bench_distill}
PYTHON=${PYTHON:-/usr/bin/python3}
OUT=build/bench
# What two threads gain over one is told for these.
SCALED=" kd3-28 kd3-resnet34 train-mobilenetv2-32 frozen-resnet20 "

[ -x "$BENCH" ] || { echo "bench-distill: $BENCH is missing: run \`make bench-distill\`" >&2; exit 2; }
known=$("$BENCH" --list)
[ -n "$ROWS" ] && rows=$(echo "$ROWS" | tr ',' ' ') || rows=$known
for row in $rows; do
    echo "$known" | grep -qx "$row" || {
        echo "bench-distill: no row \"$row\"; rows: $(echo $known)" >&2
        exit 2
    }
done

has_torch=yes
"$PYTHON" -c 'import torch, torchvision' 2>/dev/null || {
    has_torch=no
    echo "bench-distill: python3-torch and python3-torchvision are not installed: webstill alone" >&2
}

mkdir -p "$OUT"
: > "$OUT/distill.jsonl"
round=1
while [ "$round" -le "$ROUNDS" ]; do
    for row in $rows; do
        echo "bench-distill: round $round of $ROUNDS: $row" >&2
        "$BENCH" "$row" "$BENCH_SECONDS" "$THREADS" >> "$OUT/distill.jsonl"
        case $SCALED in *" $row "*)
            [ "$THREADS" = 1 ] || "$BENCH" "$row" "$BENCH_SECONDS" 1 >> "$OUT/distill.jsonl" ;;
        esac
        [ "$has_torch" = yes ] || continue
        for format in nchw nhwc; do
            "$PYTHON" tests/bench/bench.py "$row" "$BENCH_SECONDS" "$THREADS" "$format" >> "$OUT/distill.jsonl"
        done
    done
    round=$((round + 1))
done
"$PYTHON" tests/bench/table.py "$OUT/distill.json" "$THREADS" < "$OUT/distill.jsonl"
