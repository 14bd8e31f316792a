# What the end-to-end tests share. Source it with the root of the repository as current directory, then `begin NAME`.
#
# A test's scratch folder lies below build/tmp/; it goes away at the end, with the web server and every process that the
# test started. The last line is "N passed, M failed".
# shellcheck shell=bash disable=SC2034  # the tests use what is set here

bin=$PWD/build/release/bin
web=$PWD/build/web-small
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
        sed 's/^/# /' "$scratch/said" | head -n 20
    fi
}
skip() { echo "skipped - $1: $2"; } # CLAIM WHY

equal() { [ "$1" = "$2" ] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }
differ() { [ "$1" != "$2" ] || { echo "expected a difference, found twice: $1"; return 1; }; }
# Reads its input to the end: a grep that leaves early would fail the pipe's writer.
has() { [ "$(grep -cF -- "$1")" -gt 0 ] || { echo "expected the text: $1"; return 1; }; }
at_least() { [ "$1" -le "$2" ] || { echo "expected at least $1, found $2"; return 1; }; }
at_most() { [ "$1" -ge "$2" ] || { echo "expected at most $1, found $2"; return 1; }; }
same_file() { cmp "$1" "$2"; }
sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# Runs a command and keeps its words in $scratch/output, its exit code in $code.
code=0
run() {
    "$@" >"$scratch/output" 2>&1
    code=$?
}
# ended CODE TEXT...: how the last `run` ended; each text stands in what it said.
ended() {
    local expected=$1 text
    shift
    [ "$expected" = "$code" ] || {
        echo "expected exit code $expected, found $code:"
        tail -n 8 "$scratch/output"
        return 1
    }
    for text in "$@"; do
        has "$text" <"$scratch/output" || { tail -n 8 "$scratch/output"; return 1; }
    done
}

# stage NAME WORK [OPTION...]: one stage with the test's configuration.
stage() { "$bin/webstill" "$1" "$config" --work "$2" "${@:3}"; }
pipeline_stages=(crawl store teacher score curate distill eval export report)

# A number of a manifest, or of another JSON file: value FILE JQ-FILTER
value() { jq -r "$2" "$1"; }
store_digest() { value "$1/store/manifest.json" '.outputs[] | select(.path == "store") | .sha256'; }
# What training said, without what depends on the clock.
timeless() { jq -c 'del(.seconds, .images_per_s)' "$1"; }

serve() { WEB_PORT=$port "$PWD/tests/web/serve.sh" start "$web" "$scratch/server" >"$scratch/serve.log" 2>&1; }
unserve() { "$PWD/tests/web/serve.sh" stop "$web" "$scratch/server"; }
access_log() { echo "$scratch/server/nginx/access.log"; }

# All that started from the scratch folder and still lives.
ours() {
    local pid
    for pid in /proc/[0-9]*; do
        { tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null | grep -qF -- "$scratch/" && [ "${pid#/proc/}" != $$ ] &&
            echo "${pid#/proc/}"
    done
}

cleanup() {
    local pid
    unserve
    for pid in $(ours); do kill -9 "$pid" 2>/dev/null; done
    for pid in "${mounts[@]}"; do umount "$pid" 2>/dev/null; done
    rm -rf "$scratch"
}
mounts=()

# The first N entries of Fashion-MNIST, as plain IDX files in the scratch folder: cut_data train|t10k N
cut_data() {
    local from=build/data/fashion-mnist/$1 to=$scratch/$1
    # shellcheck disable=SC2059  # the bytes are the format
    big_endian() { printf "$(printf '%08x' "$1" | sed 's/../\\x&/g')"; }
    {
        big_endian $((0x803)) && big_endian "$2" && big_endian 28 && big_endian 28
        zcat "$from-images-idx3-ubyte.gz" 2>/dev/null | tail -c +17 | head -c $((784 * $2))
    } >"$to-images"
    {
        big_endian $((0x801)) && big_endian "$2"
        zcat "$from-labels-idx1-ubyte.gz" 2>/dev/null | tail -c +9 | head -c "$2"
    } >"$to-labels"
}

# open_scratch NAME: the scratch folder, traps, and a port of this test's own.
open_scratch() {
    mkdir -p build/tmp
    scratch=$(mktemp -d "$PWD/build/tmp/$1.XXXXXX")
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    port=$((20000 + $$ % 10000))
}

# build_web COMMAND...: all of them, or the test ends.
build_web() {
    local command
    for command in "$@"; do
        $command >>"$scratch/web.log" 2>&1 && continue
        tail -n 20 "$scratch/web.log"
        echo "0 passed, 1 failed"
        exit 1
    done
}

# begin NAME: a scratch folder, the small web, and in $config its configuration with a port of this test's own and a
# tenth of the data.
begin() {
    open_scratch "$1"
    config=$scratch/small.yaml
    [ -x build/release/tests/web/render ] || build_web 'make -s build/release/tests/web/render'
    build_web 'tests/web/fetch-data.sh --small' 'tests/web/fetch-data.sh --fashion-only' \
        'node tests/web/build-web.mjs --small'
    cut_data train 6000
    cut_data t10k 1000
    sed -e "s/:8188/:$port/g" -e "s,build/data/fashion-mnist/\([a-z0-9]*\)-\(images\|labels\)-.*,$scratch/\1-\2," \
        configs/web-small.yaml >"$config"
}

# Ends the test: nothing may be left running.
finish() {
    unserve
    nothing_runs() { equal "" "$(ours | tr '\n' ' ')"; }
    check 'nothing is left running' nothing_runs
    echo "$n_passed passed, $n_failed failed"
    [ "$n_failed" = 0 ]
    exit
}
