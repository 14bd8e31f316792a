#!/usr/bin/env bash
# Bring warcio (npm, pinned) below build/npm when it is missing, then let it judge our WARC files and we its.
set -euo pipefail
version=2.4.11
if [ ! -d build/npm/node_modules/warcio ]; then
    echo "installing warcio@$version below build/npm (tests only)"
    npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix build/npm "warcio@$version"
fi
test=build/${MODE:-release}/tests/format/test_warcio
out=$("$test" 2>&1) || { echo "$out"; exit 1; }
echo "$out"
if grep -q skipped <<<"$out"; then
    echo "warcio is installed, but its test was skipped"
    exit 1
fi
echo "warcio $version and we read each other's WARC files"
