#!/usr/bin/env bash
# Run test binaries and test scripts one after the other; show each one's own closing lines, and all of a failure's output.
#
# usage: tests/run.sh TEST …        exit 1 if any failed
set -uo pipefail
# Against a test that hangs, not against one that is slow: what a busy machine does to it is no failure.
HANG_S=1800
mkdir -p build/test-logs
failed=() started=$SECONDS
for test in "$@"; do
    name=${test#build/*/tests/}
    name=${name#tests/}
    log=build/test-logs/$(tr / - <<<"$name").log
    begin=$SECONDS
    case $test in
    *.sh) timeout "$HANG_S" bash "$test" >"$log" 2>&1 ;;
    *) timeout "$HANG_S" "$test" >"$log" 2>&1 ;;
    esac
    code=$?
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
        failed+=("$name")
    fi
done
echo "$(($# - ${#failed[@]})) of $# test programs passed in $((SECONDS - started)) s"
for name in "${failed[@]}"; do
    echo "failed: $name"
done
[ ${#failed[@]} = 0 ]
