#!/usr/bin/env bash
# Install what a job needs from Debian's packages: names what is missing and why, installs only that.
#
# usage: tests/install.sh build|web|test|bench|fuzz|lint|clang …   as root, or by sudo
set -euo pipefail

build="gcc libc6-dev make pkg-config libcurl4-openssl-dev libxml2-dev zlib1g-dev libjpeg62-turbo-dev libpng-dev
    libwebp-dev liblmdb-dev libseccomp-dev libssl-dev libxxhash-dev libyaml-dev libjansson-dev
    libopenblas-pthread-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev"
web="nginx-light nodejs npm librsvg2-dev libfreetype-dev curl ca-certificates xz-utils"
test="libcmocka-dev libonnx-testdata python3-onnx jq lmdb-utils procps python3 python3-numpy
    python3-torch python3-torchvision python3-lmdb"
bench="python3-torch python3-torchvision"
fuzz="clang libclang-rt-14-dev"
lint="clang-format cppcheck"
clang="clang"
# A browser for the report's test, which says so and is skipped where no distribution's package can be had.
optional_test="chromium"
declare -A why=([build]="to build webstill" [web]="to build and serve the miniature web" [test]="for the tests"
    [bench]="as the peer of the benchmarks" [fuzz]="for its fuzzing engine" [lint]="to look at the sources"
    [clang]="as the second compiler")

missing=() wished=()
for job in "$@"; do
    [ -n "${why[$job]:-}" ] || { echo "install: expected build, web, test, bench, fuzz, lint or clang, found \"$job\"" >&2; exit 2; }
    lacking=()
    for package in ${!job}; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || lacking+=("$package")
    done
    optional=optional_$job
    for package in ${!optional:-}; do
        command -v "$package" >/dev/null || {
            echo "install: missing ${why[$job]}, but not needed: $package"
            wished+=("$package")
        }
    done
    # A node of another packager brings npm along and conflicts with Debian's.
    if command -v npm >/dev/null && command -v node >/dev/null; then
        mapfile -t lacking < <(printf '%s\n' "${lacking[@]}" | grep -vxE 'npm|nodejs|' || true)
    fi
    [ ${#lacking[@]} = 0 ] && continue
    echo "install: missing ${why[$job]}: ${lacking[*]}"
    missing+=("${lacking[@]}")
done
[ $((${#missing[@]} + ${#wished[@]})) = 0 ] && exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        [ ${#missing[@]} = 0 ] && exit 0
        echo "install: not root and no sudo; run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 2
    }
    as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "install: failed: $*" >&2; exit 3; }; }
export DEBIAN_FRONTEND=noninteractive
echo "install: apt-get update"
quietly "${as_root[@]}" apt-get update -q
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends)
if [ ${#missing[@]} != 0 ]; then
    echo "install: apt-get install ${#missing[@]} packages and what they need"
    quietly "${install[@]}" "${missing[@]}"
fi
for package in "${wished[@]}"; do
    echo "install: apt-get install $package"
    "${install[@]}" "$package" >"$log" 2>&1 || {
        tail -n 3 "$log" >&2
        echo "install: $package cannot be had here; what needs it is skipped" >&2
    }
done
