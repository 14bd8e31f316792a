#!/usr/bin/env bash
# Run test binaries and test scripts; show each one's own closing lines, and all of a failure's output.
#
# usage: tests/run.sh TEST …        JOBS=N: so many at a time (1); exit 1 if any failed
set -uo pipefail
# Against a test that hangs, not against one that is slow: what a busy machine does to it is no failure.
export HANG_S=1800
export LOGS=build/test-logs
mkdir -p $LOGS
FAILED=$(mktemp $LOGS/failed.XXXXXX) # its own: two runs at once must not clear each other's
export FAILED
trap 'rm -f "$FAILED"' EXIT

one() {
    local test=$1 name log begin=$SECONDS code
    name=${test#build/*/tests/}
    name=${name#tests/}
    log=$LOGS/$(tr / - <<<"$name").log
    case $test in
    *.sh) timeout "$HANG_S" bash "$test" >"$log" 2>&1 ;;
    *) timeout "$HANG_S" "$test" >"$log" 2>&1 ;;
    esac
    code=$?
    exec 9>$LOGS/lock
    flock 9 # what one test says stands together
    if [ $code = 0 ]; then
        printf '%s (%d s)\n' "$name" $((SECONDS - begin))
        case $test in # the runner's own closing lines, as they are
        *.sh) tail -n 1 "$log" ;;
        *) grep -E '^\[ *(==========|PASSED|SKIPPED) *\] *[0-9]+ test' "$log" | tail -n 3 ;;
        esac
    else
        [ $code = 124 ] && echo "$name: stopped: it hangs, or takes more than $HANG_S s" >>"$log"
        cat "$log"
        printf '%-36s FAILED (exit code %d)\n' "$name" $code
        echo "$name" >>"$FAILED"
    fi
}
export -f one

started=$SECONDS
printf '%s\0' "$@" | xargs -0 -n 1 -P "${JOBS:-1}" bash -c 'one "$1"' run
n_failed=$(wc -l <"$FAILED")
echo "$(($# - n_failed)) of $# test programs passed in $((SECONDS - started)) s"
sed 's/^/failed: /' "$FAILED"
[ "$n_failed" = 0 ]
