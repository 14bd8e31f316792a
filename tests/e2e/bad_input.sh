#!/usr/bin/env bash
# Bad input and bad luck: every stage says what is wrong, where, and what to do, ends with its documented exit code, and
# loses nothing that was good.
#
# usage: tests/e2e/bad_input.sh       scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin bad_input

# told CLAIM CODE TEXT... -- COMMAND...: the command ends with CODE and says each TEXT.
told() {
    local claim=$1 expected=$2 texts=()
    shift 2
    while [ "$1" != -- ]; do
        texts+=("$1")
        shift
    done
    shift
    run "$@"
    check "$claim (exit code $expected)" ended "$expected" "${texts[@]}"
}
# with CONFIG STAGE WORK [OPTION...]: a stage with another configuration.
with() { "$bin/webstill" "$2" "$1" --work "$3" "${@:4}"; }
# damage FILE SHARE N: overwrites N bytes at SHARE thousandths of the file.
damage() {
    head -c "$3" /dev/zero | tr '\0' 'Z' |
        dd of="$1" bs=64k iflag=fullblock oflag=seek_bytes seek=$(($(stat -c %s "$1") * $2 / 1000)) conv=notrunc \
            status=none
}
n_images() { value "$1/store/manifest.json" .counts.images; }

# ---- usage and configuration ----

told 'an unknown command names the nearest' 2 'did you mean "distill"' 'webstill --help' -- \
    "$bin/webstill" distil "$config"
told 'a missing configuration says how to begin one' 2 'no such configuration file' 'hint: ' -- \
    "$bin/webstill" crawl "$scratch/none.yaml"
sed 's/^  p_cutoff:/  p_cutof:/' "$config" >"$scratch/typo.yaml"
line=$(grep -n 'p_cutof:' "$scratch/typo.yaml" | cut -d: -f1)
told 'an unknown key is told with file, line and nearest name' 2 "$scratch/typo.yaml:$line: unknown key \"p_cutof\"" \
    'did you mean "p_cutoff"' -- with "$scratch/typo.yaml" curate "$scratch/none"
sed 's/^  p_cutoff:.*/  p_cutoff: 1.5/' "$config" >"$scratch/range.yaml"
told 'a value out of range is told with file, line and range' 2 "$scratch/range.yaml:$line: curate.p_cutoff: expected" \
    '[0, 1]' 'found "1.5"' -- with "$scratch/range.yaml" curate "$scratch/none"
no_folder() { [ ! -e "$scratch/none" ] || { ls -R "$scratch/none"; return 1; }; }
check 'a refused configuration leaves nothing on disk' no_folder

# ---- the network ----

told 'a crawl without a server names a host and asks for it' 4 'fashion.test' "$port" 'hint: ' -- \
    stage crawl "$scratch/down"
check 'the small web is served' serve
told 'a busy port is told with the way out' 4 "port $port" 'WEB_PORT=' -- \
    env WEB_PORT="$port" tests/web/serve.sh start "$web" "$scratch/other"
told 'the same crawl goes on once the server is up' 0 -- stage crawl "$scratch/down"

base=$scratch/base
mv "$scratch/down" "$base"
prepare() { local s; for s in store teacher score; do run stage $s "$base"; ended 0 || return 1; done; }
check 'the stages that the rest stands on' prepare
digest=$(store_digest "$base")
fresh() { rm -rf "${scratch:?}/w" && cp -a "$base" "$scratch/w"; }
w=$scratch/w

sed 's/^- {name: Bag,.*/&\n- {name: Zeppelin, queries: [zeppelin, airship]}/' "$config" >"$scratch/zeppelin.yaml"
told 'a class without pictures is named with its queries' 0 'Zeppelin' 'zeppelin' 'airship' -- \
    with "$scratch/zeppelin.yaml" crawl "$scratch/zeppelin"
rm -rf "$scratch/zeppelin"

# ---- the archive ----

fresh
shard=$(cd "$w/crawl" && ls -S -- *.warc.gz | head -n 1)
rm -rf "$w/store"
damage "$w/crawl/$shard" 500 40
told 'a damaged record in a WARC is named and stepped over' 0 'stepped over a damaged record' "$shard" -- \
    stage store "$w"
check 'all but the damaged record is kept' at_least $(($(n_images "$base") - 3)) "$(n_images "$w")"
told 'verify finds the damaged WARC' 14 'bad  crawl/' "$shard" 'hint: ' -- stage verify "$w"
fresh
rm -rf "$w/store"
truncate -s $(($(stat -c %s "$w/crawl/$shard") / 2)) "$w/crawl/$shard"
told 'a WARC that was cut off gives what is before the cut' 0 'cut off by the end of the file' -- stage store "$w"
check 'the first half of its images is kept' at_least $(($(n_images "$base") / 4)) "$(n_images "$w")"
cp "$base/crawl/$shard" "$w/crawl/$shard"
rm -rf "$w/store"
told 'the store of the restored WARC' 0 -- stage store "$w"
check 'is the same as before' equal "$digest" "$(store_digest "$w")"
echo 'no archive' >"$scratch/no.warc"
told 'a file that is no WARC is refused' 5 "$scratch/no.warc" 'hint: ' -- \
    stage store "$scratch/empty" -o "store.warc=[$scratch/no.warc]"
told 'a WARC that is missing is named' 3 '/none.warc' 'hint: ' -- \
    stage store "$scratch/empty" -o "store.warc=[$scratch/none.warc]"
rm -rf "$scratch/empty"

# Of a host that forbids all no picture comes.
closed=(-o "crawl.sources=[{kind: pages, url: \"http://closed.fashion.test:$port/\"}]")
run stage crawl "$scratch/empty" "${closed[@]}"
check 'a crawl that may fetch nothing says so' ended 0 'closed.fashion.test' 'robots.txt'
told 'an empty pool is refused with what to look at' 5 'hint: ' -- stage store "$scratch/empty" "${closed[@]}"
cp -a "$base/teacher" "$scratch/empty/"
told 'no stage goes on from it' 3 'store' 'hint: run `webstill store`' -- stage score "$scratch/empty" "${closed[@]}"

# ---- teacher and data ----

told 'a missing IDX file is named with its key' 2 'teacher.train_images' "$scratch/none-images" 'make data' -- \
    stage teacher "$scratch/none" -o teacher.train_images="$scratch/none-images"
told 'a missing teacher file is named with its key' 2 'teacher.import_path' "$scratch/none.safetensors" 'hint: ' -- \
    stage teacher "$scratch/none" -o teacher.kind=import -o teacher.import_path="$scratch/none.safetensors"
head -c 100000 "$scratch/train-images" >"$scratch/cut-images"
told 'a cut IDX file is told with what was expected' 5 "$scratch/cut-images" 'expected 4704000 bytes' 'hint: ' -- \
    stage teacher "$scratch/none" -o teacher.train_images="$scratch/cut-images"
told 'a missing test set is named with its key' 2 'eval.images' 'hint: ' -- \
    stage eval "$base" -o eval.images="$scratch/none-images"
sed '/name: Ankle boot/d' "$config" >"$scratch/nine.yaml"
told 'more labels than classes are refused' 5 'label 9' 'lists 9 classes' 'hint: ' -- \
    with "$scratch/nine.yaml" teacher "$scratch/none"
told 'a teacher of other classes is refused' 2 'knows 10 classes' 'lists 9' 'hint: ' -- \
    with "$scratch/nine.yaml" teacher "$scratch/none" -o teacher.kind=import \
    -o teacher.import_path="$base/teacher/teacher.safetensors"
fresh
damage "$w/teacher/teacher.safetensors" 500 4
rm -rf "$w/scores"
told 'a damaged teacher is refused by its digest' 5 "$w/teacher/teacher.safetensors" 'SHA-256' 'hint: ' -- \
    stage score "$w"
told 'verify finds the damaged teacher' 14 'bad  ' 'teacher.safetensors' -- stage verify "$w"
rm "$w/teacher/teacher.safetensors"
told 'removed, it is made again' 0 -- stage teacher "$w"
check 'with the same bytes' same_file "$base/teacher/teacher.safetensors" "$w/teacher/teacher.safetensors"
truncate -s 1000 "$w/teacher/teacher.safetensors"
told 'a cut teacher is refused' 5 "$w/teacher/teacher.safetensors" 'hint: ' -- stage score "$w"

# ---- an imported teacher ----

# import FILE [OPTION...]: the teacher stage with that file, and the small web's pictures.
import() { stage teacher "$scratch/none" -o teacher.kind=import -o teacher.import_path="$1" "${@:2}"; }
printf 'PK\3\4 and so on' >"$scratch/net.pth"
told "a file of torch.save is refused with the way out" 5 "$scratch/net.pth is a file of torch.save" 'hint: ' -- \
    import "$scratch/net.pth"
printf 'no network at all' >"$scratch/text.onnx"
told 'a file that is no network is refused' 5 "$scratch/text.onnx" -- import "$scratch/text.onnx"
: >"$scratch/empty.onnx"
told 'an empty file is refused' 5 "$scratch/empty.onnx" -- import "$scratch/empty.onnx"
if /usr/bin/python3 tests/e2e/bad_onnx.py "$scratch" 2>/dev/null; then
    grey=(-o 'teacher.mean=[0.5]' -o 'teacher.std=[0.5]')
    told 'a good ONNX file is taken' 0 '10 classes' 'multiply-adds' -- import "$scratch/good.onnx" "${grey[@]}"
    rm -rf "$scratch/none"
    told 'one that does not tell its normalisation asks for it' 5 "$scratch/good.onnx" 'mean and std' 'teacher.mean' -- \
        import "$scratch/good.onnx"
    told 'mean and std for other channels are refused' 2 'teacher.mean has 3 numbers' -- \
        import "$scratch/good.onnx" -o 'teacher.mean=[0,0,0]' -o 'teacher.std=[1,1,1]'
    head -c $(($(stat -c %s "$scratch/good.onnx") / 2)) "$scratch/good.onnx" >"$scratch/cut.onnx"
    told 'an ONNX file that was cut off is refused' 5 "$scratch/cut.onnx" -- import "$scratch/cut.onnx" "${grey[@]}"
    told 'every op that is not known is listed in one message' 5 "$scratch/ops.onnx" '"first"' 'Einsum' '"second"' 'LSTM' -- \
        import "$scratch/ops.onnx" "${grey[@]}"
    told 'a cycle is refused' 5 "$scratch/cycle.onnx" 'cycle' -- import "$scratch/cycle.onnx" "${grey[@]}"
    told 'a 224-px teacher and 28-px pictures are told apart' 2 "$scratch/large.onnx" 'reads images of 224 x 224' \
        'the configuration makes them 28 x 28' 'hint: set store.size: 224' -- import "$scratch/large.onnx" "${grey[@]}"
    told 'another number of classes is told with both' 2 "$scratch/seven.onnx" 'has 7 values' '10 classes' 'hint: ' -- \
        import "$scratch/seven.onnx" "${grey[@]}"
    told 'safetensors of another network are told with every misfit' 5 "$scratch/misfit.safetensors" 'does not fit resnet' \
        'missing: conv1.weight' '1 extra: head.weight' -- import "$scratch/misfit.safetensors" "${grey[@]}"
    check 'a refused teacher leaves none behind' eval '[ ! -e "$scratch/none/teacher/teacher.safetensors" ]'
else
    skip 'bad ONNX files' 'python3-onnx is not installed'
fi
rm -rf "$scratch/none"

# ---- the store ----

fresh
damage "$w/store/data.mdb" 100 $(($(stat -c %s "$w/store/data.mdb") / 2)) # some of it lies idle
told 'a damaged store is refused' 14 "$w/store" 'hint: ' -- stage distill "$w"
told 'verify finds the damaged store' 14 'bad  ' -- stage verify "$w"
fresh
truncate -s $(($(stat -c %s "$w/store/data.mdb") / 2)) "$w/store/data.mdb"
told 'a store that was cut off is refused' 14 "$w/store" 'hint: ' -- stage distill "$w"
told 'verify finds the cut store' 14 'bad  ' -- stage verify "$w"
rm -rf "$w/store"
told 'removed, it is made again' 0 -- stage store "$w"
check 'with the same images' equal "$digest" "$(store_digest "$w")"

# ---- locks ----

fresh
"$bin/webstill" distill "$config" --work "$w" -o distill.epochs=100000 >"$scratch/holder.log" 2>&1 &
holder=$!
for _ in $(seq 100); do [ -s "$w/runs/kd3/metrics.jsonl" ] && break; sleep 0.1; done
told 'a second run is refused and names the first' 13 "pid $holder" 'hint: ' -- \
    stage distill "$w" -o distill.epochs=100000
kill -TERM $holder
wait $holder
check 'the first was not disturbed: SIGTERM ends it with code 11' equal 11 $?

# ---- full disks ----

disk=$scratch/disk
full_disks() {
    mkdir -p "$disk"
    mount -t tmpfs -o size=600k tmpfs "$disk" 2>/dev/null || {
        skip 'full disks' 'mounting a small disk takes root'
        return
    }
    mounts+=("$disk")
    told 'crawl: a full disk is told' 3 "$disk" 'hint: ' 'free some' -- stage crawl "$disk/w"
    mount -o remount,size=16m "$disk"
    told 'crawl: with room again it goes on' 0 -- stage crawl "$disk/w"
    full store
    check 'store: the same images as ever' equal "$digest" "$(store_digest "$disk/w")"
    cp -a "$base/teacher" "$disk/w/"
    full distill
    same_students() {
        same_file {"$base","$disk/w"}/runs/kd3/student.safetensors &&
            same_file {"$base","$disk/w"}/runs/ce/student.safetensors
    }
    run stage distill "$base"
    check 'distill: the same students as ever' same_students
}
# full STAGE: leaves less room than the stage needs; then makes room.
full() {
    local free
    free=$(df -k --output=avail "$disk" | tail -n 1)
    head -c $(((free - 300) * 1024)) /dev/zero >"$disk/filler"
    told "$1: a full disk is told" 3 "$disk" 'hint: ' 'free some' -- stage "$1" "$disk/w"
    rm "$disk/filler"
    told "$1: with room again it goes on" 0 -- stage "$1" "$disk/w"
}
full_disks

finish
