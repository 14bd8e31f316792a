#!/usr/bin/env bash
# The miniature web itself: it builds the same twice, and its hosts answer as the crawler's tests rely on.
#
# usage: tests/e2e/web_test.sh          scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/web_test.XXXXXX")
export WEB_PORT=$((20000 + $$ % 10000))
web=$scratch/web run=$scratch/run
trap 'tests/web/serve.sh stop "$web" "$run"; rm -rf "$scratch"' EXIT
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
        sed 's/^/# /' "$scratch/said" | head -n 8
    fi
}

ask() { # HOST PATH [CURL OPTIONS]
    local address
    address=$(sed -n "s/^$1 //p" "$web/hosts.txt")
    curl -sS -A 'web_test/1' --resolve "$1:$WEB_PORT:$address" "${@:3}" "http://$1:$WEB_PORT$2"
}
status_of() { ask "$1" "$2" -o /dev/null -w '%{http_code}' "${@:3}"; }
equal() { [ "$1" = "$2" ] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }
# Reads its input to the end: a grep that leaves early would fail the pipe's writer.
has() { [ "$(grep -cF -- "$1")" -gt 0 ] || { echo "expected the text: $1"; return 1; }; }
digest_of() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum); }
api='/w/api.php?action=query&format=xml&generator=search&gsrnamespace=6&prop=imageinfo&gsrlimit=50'

# ---- building ----

[ -x build/release/tests/web/render ] || make -s build/release/tests/web/render
tests/web/fetch-data.sh --small || { echo "0 passed, 1 failed"; exit 1; }
build() { node tests/web/build-web.mjs --small --out "$1"; }
check 'the small web builds' build "$web"
[ -f "$web/stamp" ] || { echo "$n_passed passed, $n_failed failed"; exit 1; }
build "$scratch/again" >"$scratch/log"
same_tree() { equal "$(digest_of "$web")" "$(digest_of "$scratch/again")"; }
check 'two builds give the same tree' same_tree
kept() { build "$web" | has 'up to date'; }
check 'a web that is up to date is not built again' kept
every_file_is_known() {
    find "$web/files" -type f -print0 | xargs -0 sha256sum | cut -d' ' -f1 | LC_ALL=C sort -u >"$scratch/served"
    sed 's/^{"sha256":"\([0-9a-f]*\)".*/\1/' "$web/truth.jsonl" | LC_ALL=C sort -u | diff - "$scratch/served"
}
check 'the truth file has one line for each distinct picture served' every_file_is_known
all_classes() {
    for c in 0 1 2 3 4 5 6 7 8 9; do has "\"origin\":\"class\",\"class\":$c," <"$web/truth.jsonl" || return 1; done
}
check 'every class has pictures' all_classes

# ---- serving ----

check 'serve.sh starts' tests/web/serve.sh start "$web" "$run"
check 'serve.sh status says that it runs' tests/web/serve.sh status "$web" "$run"
again() { tests/web/serve.sh start "$web" "$run" | has 'already serving'; }
check 'starting twice keeps what runs' again

robots() { ask "$1" /robots.txt | has "$2"; }
check 'the shop forbids its cart' robots shop.fashion.test 'Disallow: /cart/'
check 'the private host forbids /secret/' robots private.fashion.test 'Disallow: /secret/'
check 'the closed host forbids all' robots closed.fashion.test 'Disallow: /'
check 'the sitemap line carries the port' robots shop.fashion.test \
    "Sitemap: http://shop.fashion.test:$WEB_PORT/sitemap.xml"
check 'the cdn has no robots.txt' equal 404 "$(status_of cdn.fashion.test /robots.txt)"

# ---- the search API ----

# Follows continue to the end; leaves each page's answer in $scratch/bag/.
follow_continue() {
    mkdir -p "$scratch/bag"
    local offset='' pages=0
    while :; do
        ask commons.fashion.test "$api&gsrsearch=bag${offset:+&gsroffset=$offset}" >"$scratch/bag/$pages" || return 1
        pages=$((pages + 1))
        offset=$(sed -n 's/.*<continue gsroffset="\([0-9]*\)".*/\1/p' "$scratch/bag/$((pages - 1))")
        [ -n "$offset" ] || break
        [ $pages -lt 50 ] || { echo 'continue does not end'; return 1; }
    done
    [ $pages -ge 3 ] || { echo "expected several pages, found $pages"; return 1; }
}
check 'search answers page by page to the end' follow_continue
ranks() { cat "$@" | sed -n 's/.* index="\([0-9]*\)".*/\1/p'; }
complete_ranks() { equal "$(seq "$(ranks "$scratch"/bag/* | wc -l)")" "$(ranks "$scratch"/bag/* | sort -n)"; }
check 'each rank is answered once' complete_ranks
shuffled_ranks() { [ "$(ranks "$scratch/bag/0")" != "$(ranks "$scratch/bag/0" | sort -n)" ]; }
check 'pages do not come in rank order' shuffled_ranks
licences() { has '<LicenseShortName source=' <"$scratch/bag/0" && has '&lt;a href=' <"$scratch/bag/0"; }
check 'answers tell licence and artist' licences
search() { ask commons.fashion.test "$api&gsrsearch=$1"; }
same_answer() { equal "$(search ankle%20boot)" "$(search "$1")"; }
check 'a plus sign is a blank' same_answer Ankle+boot
check 'a filter behind the query changes nothing' same_answer ankle%20boot%20filetype%3Abitmap
unknown() { ask commons.fashion.test "$api&gsrsearch=bicycle" | has '<api batchcomplete=""/>'; }
check 'an unknown query gets an empty answer' unknown
not_xml() { ask commons.fashion.test "${api/xml/json}&gsrsearch=bag" | has '<error code="badvalue"'; }
check 'another format gets an error' not_xml
# The indexed files are there with the digest told, but for those deleted since.
indexed_files() {
    local url sha1 found missing=0
    while read -r url sha1; do
        found=$(ask images.fashion.test "${url#*:"$WEB_PORT"}" -f 2>/dev/null | sha1sum | cut -d' ' -f1)
        [ "$found" = "$sha1" ] && continue
        [[ $url == *_old.* ]] || { echo "$url: expected sha1 $sha1, found $found"; return 1; }
        missing=$((missing + 1))
    done < <(cat "$scratch"/bag/* | sed -n 's/.* url="\([^"]*\)".* sha1="\([0-9a-f]*\)".*/\1 \2/p')
    [ $missing -ge 1 ] || { echo 'expected a deleted file among the answers'; return 1; }
}
check 'indexed files have the digest told, and one is gone' indexed_files

# ---- pages ----

redirects() { # HOST PATH STATUS HOST PATH
    equal "$3 http://$4:$WEB_PORT$5" "$(ask "$1" "$2" -o /dev/null -w '%{http_code} %{redirect_url}')"
}
check 'a moved page redirects' redirects blog.fashion.test /old/ 301 blog.fashion.test /2025/01/post-1.html
check 'a folder without its slash redirects' redirects shop.fashion.test /c/coats 301 shop.fashion.test /c/coats/
check 'the cdn redirects to another host' redirects cdn.fashion.test /r/a.png 302 images.fashion.test /a.png
check 'the loop goes round' redirects blog.fashion.test /loop/b.html 302 blog.fashion.test /loop/a.html
check 'a missing page is a 404' equal 404 "$(status_of shop.fashion.test /missing.html)"
check 'a page that is gone is a 410' equal 410 "$(status_of blog.fashion.test /gone.html)"
gallery_pages() {
    ask shop.fashion.test /clearance/ | has 'page-2.html' &&
        equal 200 "$(status_of shop.fashion.test /clearance/page-2.html)"
}
check 'a gallery has several pages' gallery_pages
all_shop_pages() { find "$run/nginx/text/shop.fashion.test" -name '*.html' -exec cat {} +; }
page_words() { all_shop_pages | has "$1"; }
check 'a gallery has srcset' page_words ' srcset="http://cdn.fashion.test:'
check 'a gallery has base' page_words '<base href='
lazy() { ask blog.fashion.test /2025/01/post-1.html | has 'data-src="../../img/'; }
check 'a post has lazy pictures with relative links' lazy
first_link() { grep -o "$1"'[^"]*' "$run/nginx/text/$2" | head -n 1; } # PREFIX PAGE
noai() { ask blog.fashion.test "$(first_link /noai/ blog.fashion.test/art.html)" -I | has 'X-Robots-Tag: noai'; }
check 'opted-out pictures say so in their header' noai
slowly() {
    local seconds photo
    photo=$(first_link /photos/ slow.fashion.test/index.html)
    seconds=$(ask slow.fashion.test "$photo" -o /dev/null -w '%{time_total}')
    [ "${seconds%.*}" -ge 1 ] || { echo "expected at least 1 s, found $seconds s"; return 1; }
}
check 'the slow host is slow' slowly
vast() { equal 3 "$(find "$web/files" -size +8M | wc -l)"; }
check 'three files are larger than 8 MB' vast
empty() { equal 1 "$(find "$web/files" -size 0 | wc -l)"; }
check 'one file is empty' empty
not_served() {
    while read -r host _; do equal 404 "$(status_of "$host" /truth.jsonl)" || return 1; done <"$web/hosts.txt"
}
check 'no host serves the truth' not_served
logged() { grep -qP '^shop\.fashion\.test\t/missing\.html\t404\t[0-9.]+\tweb_test/1$' "$run/nginx/access.log"; }
check 'the access log tells host, path, status, time and agent' logged

# ---- stopping ----

busy_port() {
    local said
    said=$(tests/web/serve.sh start "$scratch/again" "$scratch/other" 2>&1)
    equal 4 $? && has "port $WEB_PORT" <<<"$said" && has 'WEB_PORT=' <<<"$said"
}
check 'a busy port is named with the way out, exit code 4' busy_port
pid=$(cat "$run/nginx/nginx.pid")
ours() { grep -lF "$run/nginx" /proc/[0-9]*/cmdline 2>/dev/null; }
one_is_ours() { ours | has "/proc/$pid/"; }
check 'the pid file names our nginx' one_is_ours
gone() { tests/web/serve.sh stop "$web" "$run" && ! [ -d "/proc/$pid" ] && ! ours; }
check 'stop leaves no process' gone
check 'stop twice is quiet' tests/web/serve.sh stop "$web" "$run"
stopped() { ! tests/web/serve.sh status "$web" "$run"; }
check 'status says that it stopped' stopped

echo "$n_passed passed, $n_failed failed"
[ $n_failed = 0 ]
