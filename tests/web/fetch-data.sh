#!/usr/bin/env bash
# Fetch the pinned packages the miniature web is made of, and Fashion-MNIST, into build/data/.
#
# usage: tests/web/fetch-data.sh [--fashion-only | --small | --web-only | --symbols]
#
#   (nothing)       what the demo needs: the whole web and Fashion-MNIST
#   --fashion-only  Fashion-MNIST alone: build/data/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz
#   --small         what the small web needs, without Fashion-MNIST
#   --web-only      what the whole web needs, without Fashion-MNIST
#   --symbols       what the web of symbols needs: fonts, icons, and the network that is its teacher
#
# Debian packages come through apt-get, npm packages through npm, each from wherever those two are configured to look.
# A package is unpacked once: its folder keeps the digest it came from, and a second run fetches nothing. Needs no root.
#
# Exit codes: 0 complete, 2 usage or a missing program, 3 disk, 4 a package could not be fetched, 5 another file than
# pinned.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
lock_file=tests/web/packages.lock
data=build/data

case ${1-} in
'') wanted=fsw ;;
--fashion-only) wanted=f ;;
--small) wanted=s ;;
--web-only) wanted=w ;;
--symbols) wanted=y ;;
*)
    sed -n '2,10p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
    exit 2
    ;;
esac

fail() { # CODE MESSAGE...
    local code=$1
    shift
    printf 'fetch-data: %s\n' "$@" >&2
    exit "$code"
}

need() { # PROGRAM DEBIAN-PACKAGE
    command -v "$1" >/dev/null || fail 2 "$1 is missing: install it with: apt-get install $2"
}

# apt-get may know nothing yet on a new machine: refresh its lists where we may, once.
refresh_apt() {
    if [ "$(id -u)" = 0 ]; then
        apt-get -qq update
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n apt-get -qq update
    else
        return 1
    fi
}

fetch_deb() { # NAME VERSION FOLDER
    local log=$3/log
    (cd "$3" && apt-get -q -o APT::Sandbox::User=root download "$1=$2") >"$log" 2>&1 && return 0
    local found
    found=$(apt-cache show "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -u | tr '\n' ' ')
    if [ -n "$found" ] && ! grep -qxF "$2" <<<"${found// /$'\n'}"; then
        fail 5 "$1: expected version $2, found version ${found% } on this machine's mirror." \
            "Use a mirror of Debian 12 that still has $2, or pin the new version in $lock_file."
    fi
    fail 4 "$1: cannot be fetched: $(grep -E '^(E|Err|W):' "$log" | head -n 2 | tr '\n' ' ')" \
        "Check the network and run: apt-get update"
}

fetch_npm() { # NAME VERSION FOLDER
    local log=$3/log
    npm pack "$1@$2" --pack-destination "$3" --cache "$3/npm-cache" --ignore-scripts --loglevel=error >"$log" 2>&1 ||
        fail 4 "$1@$2: npm cannot fetch it: $(grep -v '^ *$' "$log" | head -n 2 | tr '\n' ' ')" \
            "Check the network and npm's registry setting."
    rm -rf "$3/npm-cache"
}

# What of each package is unpacked, and how many leading folders are taken off.
unpack() { # NAME FILE FOLDER
    local strip=1 members=()
    case $1 in
    dataset-fashion-mnist) strip=5 members=('./usr/share/datasets/fashion-mnist/*.gz') ;;
    openclipart-svg) strip=5 members=('./usr/share/openclipart/svg/*.svg') ;;
    tuxpaint-stamps-default) strip=5 members=('./usr/share/tuxpaint/stamps/*.png'
        './usr/share/tuxpaint/stamps/clothes/*.svg') ;;
    lomiri-wallpapers-16.04) strip=4 members=('./usr/share/backgrounds/*.jpg') ;;
    fonts-stix) strip=6 members=('./usr/share/fonts/opentype/*.otf') ;;
    fonts-freefont-ttf | fonts-symbola | fonts-dejavu-*) strip=6 members=('./usr/share/fonts/truetype/*.ttf') ;;
    fonts-texgyre-math) strip=8 members=('./usr/share/texmf/fonts/opentype/*.otf') ;;
    detypify-service) members=('package/train/*') ;;
    # Left out: sets whose licence forbids or troubles re-use, and one of 100 MB whose drawings another package brings.
    @iconify/json) members=('package/collections.json' 'package/json/*' --exclude='package/json/emojione*'
        --exclude='package/json/fluent-emoji.json' --exclude='package/json/cbi.json'
        --exclude='package/json/ps.json') ;;
    emoji-datasource-google) members=('package/emoji.json' 'package/img/google/64/*') ;;
    emoji-datasource-twitter) members=('package/emoji.json' 'package/img/twitter/64/*') ;;
    @lobehub/fluent-emoji-3d) members=('package/assets/*') ;;
    openmoji) members=('package/data/openmoji.json' 'package/color/svg/*' 'package/black/svg/*') ;;
    *) fail 2 "$1 is in $lock_file, but this script does not know what to unpack of it" ;;
    esac
    case $2 in
    *.deb) dpkg-deb --fsys-tarfile "$2" ;;
    *) gzip -dc "$2" ;;
    esac | tar -x -C "$3" --no-same-owner --strip-components="$strip" --wildcards "${members[@]}"
}

provide() { # KIND NAME VERSION SHA256 FOLDER
    local kind=$1 name=$2 version=$3 digest=$4 folder=$data/$5
    part=$folder.part.$$ # not local: the trap of this subshell needs it
    mkdir -p "$part/fetched" "$part/content" || fail 3 "cannot write below $data"
    trap 'rm -rf "$part"' EXIT
    case $kind in
    deb) fetch_deb "$name" "$version" "$part/fetched" ;;
    npm) fetch_npm "$name" "$version" "$part/fetched" ;;
    *) fail 2 "$lock_file: expected the kind deb or npm, found $kind ($name)" ;;
    esac
    local files=("$part"/fetched/*.deb "$part"/fetched/*.tgz)
    local file=
    for f in "${files[@]}"; do [ -f "$f" ] && file=$f; done
    [ -n "$file" ] || fail 4 "$name: the package tool said that it fetched version $version, but left no file"
    local found
    found=$(sha256sum "$file" | cut -d' ' -f1)
    [ "$found" = "$digest" ] || fail 5 "$name $version: expected a file with sha256 $digest," \
        "found sha256 $found: not used." \
        "If the package was rebuilt under the same version, check it and pin the new digest in $lock_file."
    unpack "$name" "$file" "$part/content" || fail 3 "$name: cannot be unpacked below $data"
    chmod -R u+rwX "$part/content"
    printf '%s\n' "$digest" >"$part/content/.digest"
    rm -rf "$folder"
    mv -T "$part/content" "$folder"
    echo "fetch-data: $name $version"
}

mkdir -p "$data/packages" || fail 3 "cannot make $data"
exec 9>"$data/.lock"
flock 9
missing=()
needs_apt=false needs_npm=false
while read -r kind name version digest folder sets; do
    [[ -z $kind || $kind = \#* || $sets != *["$wanted"]* ]] && continue
    [ "$(cat "$data/$folder/.digest" 2>/dev/null)" = "$digest" ] && continue
    missing+=("$kind $name $version $digest $folder")
    case $kind in deb) needs_apt=true ;; npm) needs_npm=true ;; esac
done <"$lock_file"

[ ${#missing[@]} -gt 0 ] || exit 0
rm -rf "$data"/*.part.* "$data"/packages/*.part.*
if $needs_npm; then need npm npm; fi
if $needs_apt; then
    need apt-get apt
    need dpkg-deb dpkg
    for entry in "${missing[@]}"; do
        read -r kind name version _ <<<"$entry"
        if [ "$kind" = deb ] && ! apt-cache show "$name=$version" >/dev/null 2>&1; then
            refresh_apt || true
            break
        fi
    done
fi
echo "fetch-data: fetching ${#missing[@]} packages into $data"
jobs=()
for entry in "${missing[@]}"; do
    # shellcheck disable=SC2086  # five words, none with a blank
    (provide $entry) &
    jobs+=($!)
done
status=0
for job in "${jobs[@]}"; do
    wait "$job" || status=$?
done
exit "$status"
