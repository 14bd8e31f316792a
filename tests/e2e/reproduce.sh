#!/usr/bin/env bash
# The driver of the proof on the small web, with rows of a few steps: what it writes, what it skips, what a kill costs.
#
# usage: tests/e2e/reproduce.sh       scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin reproduce
work=$scratch/work
results=$work/reproduce/results.jsonl
options='-o distill.batch=32 -o curate.p_cutoff=0.1 -o curate.alpha_zero_share=1 -o distill.steps_per_epoch=4'
few="$options -o distill.epochs=2"

drive() { # ROWS [SETTING…]
    env WORK="$work" CONFIG="$config" WEB_SIZE=small WEB_PORT="$port" SEEDS=1 ONLY="$1" OPTS="$few" "${@:2}" \
        node tests/reproduce/reproduce.mjs
}
driven() { run drive "$1" "${@:2}"; }

# ---- two rows ----

two_rows() { driven main/kd3,kd; ended 0 'main/kd3 seed 1: ' 'main/kd seed 1: ' 'table.md'; }
check 'two rows run from nothing' two_rows
fields='experiment row seed x accuracy accuracy_best agreement seconds steps selected_precision selected_recall'
fields+=' shifted_accuracy commit config_sha256 machine curve'
has_fields() {
    equal 2 "$(jq -c 'select(.experiment == "main")' "$results" | wc -l)" &&
        equal "$fields" "$(jq -r 'select(.experiment) | keys_unsorted | join(" ")' "$results" | sort -u)" &&
        equal 'main All methods on the same pool' "$(jq -r 'select(.about) | "\(.about) \(.title)"' "$results" | head -n 1)"
}
check 'results.jsonl says what its experiments are, and has a line a run, with these fields in this order' has_fields
figure() { jq -r "select(.experiment == \"main\" and .row == \"$1\") | $2" "$results"; }
kd3() { figure kd3 "$1"; }
kd() { figure kd "$1"; }
run_dir=$work/rows/main/kd3/seed-1
as_evaluated() {
    equal "$(value "$run_dir/runs/kd3/eval.json" .accuracy)" "$(kd3 .accuracy)" &&
        equal "$(value "$run_dir/runs/kd3/best-eval.json" .accuracy)" "$(kd3 .accuracy_best)" &&
        equal "$(value "$run_dir/runs/kd3/manifest.json" .config_sha256)" "$(kd3 .config_sha256)" &&
        equal 8 "$(kd3 .steps)"
}
check 'the figures are those of eval and of the manifest' as_evaluated
curve() { equal '[4,8]' "$(kd3 '[.curve[][0]]|tojson')" && equal number "$(kd3 '.curve[1][1]|type')"; }
check 'the curve has a point an epoch' curve
precision() {
    local is_share='. > 0 and . <= 1'
    equal true "$(kd3 "(.selected_precision | $is_share) and (.selected_recall | $is_share)")" &&
        equal null "$(kd .selected_precision)"
}
check 'a selecting row has precision and recall, another has none' precision
marked() {
    equal '<!-- reproduce-kd3: begin -->' "$(head -n 1 "$work/reproduce/table.md")" &&
        equal '<!-- reproduce-kd3: end -->' "$(tail -n 1 "$work/reproduce/table.md")" &&
        has '| `kd3` | KD3 as released |' <"$work/reproduce/table.md"
}
check 'the table stands between markers' marked
in_readme() {
    printf 'before\n<!-- reproduce-kd3: begin -->\nold\n<!-- reproduce-kd3: end -->\nbehind\n' >"$scratch/README.md"
    WORK="$work" README="$scratch/README.md" node tests/reproduce/reproduce.mjs --table &&
        equal "before $(tr '\n' ' ' <"$work/reproduce/table.md")behind " "$(tr '\n' ' ' <"$scratch/README.md")"
}
check 'a README gets the table between its markers' in_readme
published() {
    local at=$scratch
    same_file "$results" "$at/results.jsonl" && same_file "$work/reproduce/curves.svg" "$at/curves.svg" &&
        has 'Strength of the shift' <"$at/curves.svg" && ! grep -q 'NaN' "$at/curves.svg"
}
check 'and beside it the lines and the curves' published
report() { [ -s "$work/report/index.html" ]; }
check 'the report is written' report

# ---- time, pool, shift ----

# Few steps on few images prove no bar; that the figures are there and right, and that the bar is asked.
costs() {
    local whole steps
    whole=$(value "$run_dir/result.json" .whole_seconds) steps=$(value "$run_dir/result.json" .step_seconds)
    equal true "$(jq -n "$steps > 0 and $steps <= $whole")" || return 1
    run env WORK="$work" node tests/reproduce/reproduce.mjs --time
    has "main/kd3 seed 1: $(printf %.1f "$whole") s, of it $(printf %.1f "$steps") s in training steps" <"$scratch/output"
    equal "$(jq -n "if $whole / $steps > 1.15 then 1 else 0 end")" "$code"
}
check 'what a run costs beyond its steps is told and judged' costs
pool=$work/reproduce/pools/main-kd-clipart.txt
clipart=$work/rows/main/kd-clipart/seed-1
restricted() {
    driven main/kd-clipart; ended 0 'main/kd-clipart seed 1: ' || return 1
    equal "$(wc -l <"$pool")" "$(value "$clipart/runs/kd/manifest.json" '.facts.n_pool + .facts.n_held_out')" &&
        equal "$(sha256_of "$pool")" \
            "$(value "$clipart/runs/kd/manifest.json" ".inputs[] | select(.path == \"$pool\") | .sha256")"
}
check 'a row with a pool of its own trains on that alone, and its manifest names it' restricted
off_topic() {
    jq -r 'select(.origin == "off-topic") | .sha256[0:32]' build/web-small/truth.jsonl | sort >"$scratch/off"
    equal "" "$(comm -13 "$scratch/off" <(sort "$pool"))" && at_least 20 "$(wc -l <"$pool")"
}
check 'random clip art is off topic' off_topic
# Made-up images of which two in five show a class.
cat >"$scratch/pools.mjs" <<EOF
import { choosePool } from '$PWD/tests/reproduce/pools.mjs';
EOF
cat >>"$scratch/pools.mjs" <<'EOF'
const ids = Array.from({ length: 1000 }, (_, i) => i.toString(16).padStart(32, '0'));
const shows = (id) => parseInt(id, 16) % 5 < 2;
const truth = new Map(ids.map((id) => [id, { origin: shows(id) ? 'class' : 'off-topic', shows: shows(id) }]));
const pool = (kind) => choosePool(kind, ids, truth);
for (const share of [0, 0.25, 0.9])
    console.log(share, pool({ kind: 'junk', share, n: 400 }).filter((id) => !shows(id)).length);
const small = pool({ kind: 'size', n: 100 });
const large = new Set(pool({ kind: 'size', n: 300 }));
console.log(small.length, large.size, small.every((id) => large.has(id)));
EOF
made_pools() {
    node "$scratch/pools.mjs" >"$scratch/pools"
    equal '0 0 0.25 100 0.9 360 100 300 true ' "$(tr '\n' ' ' <"$scratch/pools")"
}
check 'pools have the share of junk that is asked, and a smaller one lies within a larger one' made_pools
refused() { # TEXT LIST
    printf '%s\n' "$2" >"$scratch/pool.txt"
    run "$bin/webstill" distill "$config" --work "$clipart" --method kd -o "distill.pool=$scratch/pool.txt"
    ended "$3" "$1"
}
check 'a list with an unknown image is refused with its line' refused "distill.pool: $scratch/pool.txt:2: image 00" \
    "$(head -n 1 "$pool")"$'\n'00000000000000000000000000000000 2
check 'a list with a line that is no id likewise' refused "distill.pool: $scratch/pool.txt:1: expected an image id" x 5
shifted() {
    equal '[0,0.25,0.5,1]' "$(jq -sc '[.[] | select(.experiment == "shift" and .row == "kd3") | .x]' "$results")" &&
        equal "$(kd3 .accuracy)" \
            "$(jq -r 'select(.experiment == "shift" and .row == "kd3" and .x == 0) | .shifted_accuracy' "$results")" &&
        equal "$(value "$run_dir/runs/kd3/eval.json" '.shifted[] | select(.strength == 0.5) | .accuracy')" \
            "$(kd3 .shifted_accuracy)" &&
        equal 1 "$(ls "$run_dir/eval" | grep -c manifest)"
}
check 'the same look at the test set gives the shifted figures' shifted
lent() { equal "[\"kd\",null,$(kd .accuracy)]" "$(jq -c 'select(.experiment == "curation") | [.row, .x, .accuracy]' "$results")"; }
check "a table that compares with another's row has that row's line" lent

plus_row() {
    driven main/kd3+ OPTS="$few -o distill.kd3_plus.refine_steps=2"
    ended 0 'main/kd3+ seed 1: ' && [ -n "$(ls "$work/refined-seed-1")" ]
}
check 'kd3+ leaves its refined pictures where the other rows find them' plus_row
own_pictures() {
    driven main/kd-clipart && ended 0 && ! [ -e "$clipart/runs/refined" ] && [ -L "$work/rows/main/kd3+/seed-1/runs/refined" ]
}
check 'but not the rows with a pool of their own' own_pictures

# ---- again ----

already() { driven main/kd3,kd; ended 0 'main/kd3 seed 1: ' 'already there'; }
before=$(stat -c %.9Y "$run_dir/result.json" "$work/teacher/teacher.safetensors")
check 'a second call runs nothing' already
unchanged() { equal "$before" "$(stat -c %.9Y "$run_dir/result.json" "$work/teacher/teacher.safetensors")"; }
check 'and touches no result and no teacher' unchanged
forget() {
    rm "$run_dir/result.json" "$run_dir/key" && driven main/kd3 && ended 0 &&
        ! has 'already there' <"$scratch/output"
}
digest=$(sha256_of "$run_dir/runs/kd3/student.safetensors")
check 'a run whose record is gone is made anew' forget
check 'to the same student' equal "$digest" "$(sha256_of "$run_dir/runs/kd3/student.safetensors")"

# ---- a kill ----

# Slow enough to be hit: many steps, a checkpoint each epoch.
slow="$options -o distill.epochs=24"
killed=$scratch/work/rows/main/kd3/seed-2
# start_and_kill EPOCH PROCESSES…: a call in the background, killed when EPOCH is done, or one behind those that an earlier
# call has done.
start_and_kill() {
    local epoch=$1 driver before
    before=$(grep -s '^{"kind":"epoch"' "$killed/runs/kd3/metrics.jsonl" | tail -n 1 | jq .epoch)
    [ "${before:-0}" -lt "$epoch" ] || epoch=$((before + 1))
    few=$slow drive main/kd3 SEEDS=2 >"$scratch/output" 2>&1 &
    driver=$!
    for _ in $(seq 1200); do
        grep -qs "^{\"kind\":\"epoch\",.*\"epoch\":$epoch," "$killed/runs/kd3/metrics.jsonl" && break
        sleep 0.05
    done
    kill -9 "$(cat "$work/reproduce/lock")" 2>/dev/null
    # shellcheck disable=SC2046  # a list of processes
    [ "$2" = alone ] || kill -9 $(ours) 2>/dev/null
    wait "$driver" 2>/dev/null
    [ -s "$killed/runs/kd3/checkpoint.safetensors" ] && ! [ -e "$killed/result.json" ] ||
        { echo "epoch $epoch, behind $before:"; ls "$killed" "$killed/runs/kd3"; tail -n 3 "$scratch/output"; return 1; }
}
check 'kill -9 of driver and training leaves a checkpoint and no result' start_and_kill 3 both
check 'kill -9 of the driver alone leaves the training to go on' start_and_kill 6 alone
goes_on() {
    few=$slow driven main/kd3 SEEDS=2
    ended 0 'main/kd3 seed 2: ' && has 'going on behind step' <"$killed/log"
}
check 'the same command goes on from where both were' goes_on
check 'and adds its line' equal '1 2' "$(kd3 .seed | tr '\n' ' ' | sed 's/ $//')"

# ---- what cannot be ----

check 'a row that does not exist is refused' eval 'driven main/kd4; ended 2 "no row or experiment \"main/kd4\""'
finish
