#!/bin/sh
# Training speed beside PyTorch's, in one run: both alternate, so that a busy machine is busy for both.
# ROUNDS (3), BENCH_SECONDS (5) per job and THREADS (2) can be set in the environment. Writes build/bench/step.json.
set -eu

ROUNDS=${ROUNDS:-3} BENCH_SECONDS=${BENCH_SECONDS:-5} THREADS=${THREADS:-2}
BENCH=${BENCH:-build/release/tests/bench/bench_step}
PYTHON=${PYTHON:-/usr/bin/python3}
OUT=build/bench

[ -x "$BENCH" ] || { echo "bench: $BENCH is missing: run \`make bench\`" >&2; exit 2; }
mkdir -p "$OUT"
: > "$OUT/step.jsonl"

has_torch=yes
"$PYTHON" -c 'import torch, torchvision' 2>/dev/null || {
    has_torch=no
    echo "bench: python3-torch and python3-torchvision are not installed: webstill alone" >&2
}

round=1
while [ "$round" -le "$ROUNDS" ]; do
    echo "bench: round $round of $ROUNDS" >&2
    "$BENCH" "$BENCH_SECONDS" "$THREADS" >> "$OUT/step.jsonl"
    if [ "$has_torch" = yes ]; then
        "$PYTHON" tests/bench/bench.py "$BENCH_SECONDS" "$THREADS" nchw >> "$OUT/step.jsonl"
        "$PYTHON" tests/bench/bench.py "$BENCH_SECONDS" "$THREADS" nhwc >> "$OUT/step.jsonl"
    fi
    round=$((round + 1))
done
"$PYTHON" tests/bench/table.py "$OUT/step.json" < "$OUT/step.jsonl"
