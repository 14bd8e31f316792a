#!/usr/bin/env bash
# The crawler against hosts that answer badly: redirects, lies, floods, refusals, and robots.txt in every state of health.
#
# usage: tests/net/crawl_net.sh [FOLDER OF THE PROGRAMS]     scratch below build/tmp/; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bin=${1:-build/release/bin}

mkdir -p build/tmp
scratch=$(mktemp -d "$PWD/build/tmp/crawl_net.XXXXXX")
server=
trap '[ -n "$server" ] && kill "$server"; rm -rf "$scratch"' EXIT
n_passed=0 n_failed=0
log=$scratch/requests

check() { # CLAIM COMMAND…
    local claim=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        n_passed=$((n_passed + 1))
        echo "ok $((n_passed + n_failed)) - $claim"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $((n_passed + n_failed)) - $claim"
        sed 's/^/# /' "$scratch/said" | head -n 12
    fi
}
equal() { [ "$1" = "$2" ] || { echo "expected: $1"; echo "found:    $2"; return 1; }; }

start_server() { # [PORT]
    : >"$scratch/port"
    node tests/net/server.mjs "$log" "$@" >"$scratch/port" &
    server=$!
    for _ in $(seq 100); do
        [ -s "$scratch/port" ] && break
        sleep 0.1
    done
}
start_server
port=$(cat "$scratch/port")
[ -n "$port" ] || { echo "the server does not start"; echo "0 passed, 1 failed"; exit 1; }

all='redirect private lie busy ill waits norobots moved turning long latin patient slow optout meta'
configure() { # FILE HOST…
    local file=$1
    shift
    {
        printf 'classes: [Dress, Coat]\n'
        printf 'crawl:\n  user_agent: webstill-test/0.1 (test@example.org)\n  sources:\n'
        for host in "$@"; do printf '  - {kind: pages, url: "http://%s.test:%s/"}\n' "$host" "$port"; done
        printf '  resolve:\n'
        for host in "$@"; do printf '  - %s.test=127.0.0.1\n' "$host"; done
        printf '  allow_addresses: [127.0.0.1/32]\n  delay_ms: 100\n  per_host: 1\n  max_body_kib: 256\n  retries: 2\n'
        printf '  retry_base_ms: 50\n  timeout_s: 10\n  min_speed_bytes_s: 1000\n  min_speed_time_s: 1\n'
        printf '  max_failure_share: 1\n  commit_every: 4\n'
    } >"$file"
}
crawl() { WEBSTILL_DEBUG=1 timeout 120 "$bin/webstill-crawl" crawl "$@" >"$scratch/crawl.log" 2>&1; }
set_state() { curl -sS -H 'Host: control.test' "http://127.0.0.1:$port/set?$1" >"$scratch/set" 2>&1; }

# asked HOST PATH: how often; starts HOST: when, in milliseconds
asked() { awk -v h="$1.test" -v p="$2" '$1 == h && $2 == p' "$log" | wc -l; }
starts() { awk -v h="$1.test" '$1 == h {print $3}' "$log"; }
asked_is() { equal "$3" "$(asked "$1" "$2")"; }
# gaps_are HOST MS MIN_REQUESTS: no two requests of a host start closer than MS, on the crawler's own clock. On the server's
# a gap may shrink: a busy machine holds one arrival up and not the next.
gaps_are() {
    awk -v url="^http://$1[.]test:" -v least="$2" -v min="$3" '/debug: at [0-9.]+ s: asks / && $7 ~ url {
            n++; gap = ($4 - last) * 1000; last = $4
            if (n > 1 && gap < least - 0.002) { print "only " gap " ms before " $7; bad = 1 } }
        END { if (n < min) print "only " n + 0 " requests"; exit bad || n < min }' "$scratch/all.log"
}
# ...and what of it the server can tell: a request starts when the one before is answered, so from any one to the next but
# one there is a whole delay, however late the first came.
pairs_are() {
    starts "$1" | awk -v least="$2" 'NR > 2 && $1 - second < least - 1 { print "only " $1 - second " ms"; bad = 1 }
        { second = last; last = $1 } END { if (NR < 3) print "only " NR " requests"; exit bad || NR < 3 }'
}
# failed HOST PATH REASON [TEXT]: failures.jsonl has it so
failed() {
    local line
    line=$(grep -F "\"url\":\"http://$1.test:$port$2\"" "$work/crawl/failures.jsonl")
    grep -qF "\"reason\":\"$3\"" <<<"$line" && grep -qF -- "${4-}" <<<"$line" || { echo "found: $line"; return 1; }
}
no_failure() { ! grep -F "\"url\":\"http://$1.test:$port$2\"" "$work/crawl/failures.jsonl"; }
records() { zcat -f "$work"/crawl/*.warc.gz | tr -d '\r' | grep -a '^WARC-\|^Content-Length\|^X-Crawler'; }
# The archive's fields of the response for a URL: from its type to the next record's
response() {
    zcat -f "$work"/crawl/*.warc.gz | tr -d '\r' |
        awk -v url="WARC-Target-URI: $1" 'function show() { if (is_response && is_url) printf "%s", text }
            /^WARC\/1.1$/ { show(); text = ""; is_response = is_url = 0 }
            { text = text $0 "\n" } /^WARC-Type: response$/ { is_response = 1 } $0 == url { is_url = 1 } END { show() }'
}
kept() { response "http://$1.test:$port$2" | grep -qa '^WARC-Type: response'; }
has() { grep -qaF -- "$1" || { echo "expected the text: $1"; return 1; }; }
response_has() { response "http://$1.test:$port$2" | has "$3"; }
count() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$work/crawl/manifest.json" | head -n 1; }

# ---- one crawl over all of them ----

work=$scratch/work
# shellcheck disable=SC2086 # a list of words
configure "$scratch/all.yaml" $all
crawl "$scratch/all.yaml" --work "$work"
code=$?
cp "$scratch/crawl.log" "$scratch/all.log"
check 'the crawl comes to its end' equal 0 "$code"
[ "$code" = 0 ] || sed 's/^/# /' "$scratch/crawl.log"
valid() { node -e 'for (const l of require("fs").readFileSync(process.argv[1], "utf8").trim().split("\n")) JSON.parse(l)' "$work/crawl/failures.jsonl"; }
check 'each line of failures.jsonl is JSON' valid

check 'a redirect is followed' kept redirect /target.png
check 'its target is fetched once' asked_is redirect /target.png 1
check 'the hop is in the picture'"'"'s chain' has "\"via\":[\"http://redirect.test:$port/hop\"]" < <(zcat -f "$work"/crawl/*.warc.gz)
check 'a loop is given up' failed redirect /loop2 redirect loop
check 'so is an endless chain' failed redirect /chain/5 redirect 'more than 5 hops'
check 'which is asked no further' asked_is redirect /chain/6 0
check 'a redirect to a refused address is not followed' grep -q '"url":"http://127.0.0.9:[0-9]*/inside.png","reason":"address"' "$work/crawl/failures.jsonl"
inside() { equal 0 "$(grep -c '^127' "$log")"; }
check 'nobody connects there' inside
check 'a redirect to another scheme is none' failed redirect /ftp redirect 'no http(s) URL'
check 'nor is one without a Location' failed redirect /nowhere redirect Location
check 'a page cannot name a private address' grep -q '"url":"http://10.0.0.1/x.png","reason":"address"' "$work/crawl/failures.jsonl"
check 'nor hide one in a mapped address' grep -q '"url":"http://\[::ffff:169.254.169.254\]/latest/x.png","reason":"address"' "$work/crawl/failures.jsonl"

check 'a body shorter than announced is broken' failed lie /short broken
check 'and tried again' asked_is lie /short 3
check 'a body longer than announced is kept as announced' response_has lie /long 'Content-Length: 100'
check 'a body announced as too long is cut' failed lie /huge oversized
check 'and marked so in the archive' response_has lie /huge 'WARC-Truncated: length'
check 'an endless body is cut' failed lie /endless oversized
check 'and asked for once' asked_is lie /endless 1
check 'a dripping body is given up' failed lie /drip timeout
check 'a picture in gzip is undone' response_has lie /gzip 'X-Crawler-Content-Encoding: gzip'
check 'and known as what it is' response_has lie /gzip 'WARC-Identified-Payload-Type: image/png'
check 'a gzip bomb is cut' failed lie /bomb oversized
small() { [ "$(zcat -f "$work"/crawl/*.warc.gz | wc -c)" -lt 3000000 ]; }
check 'no more than the ceiling of any is in the archive' small
check 'HTML that calls itself a picture is kept for the store to judge' kept lie /html.jpg
unidentified() { ! response "http://lie.test:$port/html.jpg" | grep -a 'Identified'; }
check 'and not taken for one' unidentified
check '410 is final' failed lie /gone 4xx
check 'and asked for once' asked_is lie /gone 1
check '204 is no picture' failed lie /teapot status
check 'what is not HTTP is broken' failed lie /noise broken

check '429 is tried again' kept busy /busy
waited() {
    awk '$1 == "busy.test" && $2 == "/busy" { n++; if (n == 1) first = $3 } $1 == "busy.test" && first && $3 > first && !next_ms { next_ms = $3 }
        END { if (next_ms - first < 1950) { print "only " next_ms - first " ms"; exit 1 } }' "$log"
}
check 'its Retry-After holds for the whole host' waited
check '503 is tried again until it is well' kept busy /ill
check 'three times in all' asked_is busy /ill 3

check 'a robots.txt with 503 closes the host' asked_is ill / 0
check 'after as many tries as any' asked_is ill /robots.txt 3
check 'one that asks for a day is asked once' asked_is waits /robots.txt 1
check 'and closes the host' asked_is waits / 0
check '404 for robots.txt opens the host, whatever its body says' kept norobots /x.png
check 'a moved robots.txt is followed' asked_is moved /secret/x.png 0
check 'and read' failed moved /secret/x.png robots 'Disallow: /secret/'
check 'what it does not forbid is fetched' kept moved /open.png
check 'a robots.txt that turns in circles is none' kept turning /x.png
hops() { equal 6 "$(awk '$1 == "turning.test" && $2 ~ /^\/robots/' "$log" | wc -l)"; }
check 'after five redirects' hops
check 'a robots.txt over 500 KiB is read to there' failed long /secret/x.png robots 'Disallow: /secret'
check 'and its cut line is no rule' kept long /other.png
check 'a rule in Latin-1 is quoted as far as UTF-8 goes' failed latin /caf%E9.png robots 'Disallow: /caf?'
check 'and forbids' asked_is latin /caf%E9.png 0
check 'what it does not forbid is fetched, too' kept latin /tea.png

check 'Crawl-delay holds between all requests' gaps_are patient 1000 3
check 'and the server sees it' pairs_are patient 1000
check 'a host that asks for more than max_crawl_delay_s is left alone' asked_is slow / 0
spread() { for host in redirect lie moved optout; do gaps_are $host 100 4 && pairs_are $host 100 || { echo "$host"; return 1; }; done; }
check 'delay_ms holds between the requests of a host' spread
alone() { awk '$4 > 1 { print; bad = 1 } END { exit bad }' "$log"; }
check 'per_host: 1 means one at a time' alone

for path in /noai /tdm /usage /dated; do check "an opt-out in an answer is heard: $path" failed optout $path opted_out; done
unkept() { for path in /noai /tdm /usage /dated; do kept optout $path && { echo "$path"; return 1; }; done; return 0; }
check 'and the picture is not in the archive' unkept
check 'a picture without one is' kept optout /yes.png
check 'an opt-out in a page keeps from asking' asked_is meta /x.png 0

# ---- again ----

work=$scratch/ill
configure "$scratch/ill.yaml" ill
crawl "$scratch/ill.yaml" --work "$work"
check 'a crawl of a closed host alone ends well' equal 0 $?
set_state ill=well
crawl "$scratch/ill.yaml" --work "$work"
check 'and is not done: a further run asks again' kept ill /x.png
crawl "$scratch/ill.yaml" --work "$work"
check 'then it is up to date' grep -q 'up to date' "$scratch/crawl.log"

work=$scratch/never
configure "$scratch/never.yaml" private slow
crawl "$scratch/never.yaml" --work "$work"
check 'pictures that no run will fetch are not left for one' equal 0 "$(count left)"
check 'they have failed' equal 2 "$(count address)"
crawl "$scratch/never.yaml" --work "$work"
check 'and the crawl is up to date' grep -q 'up to date' "$scratch/crawl.log"

work=$scratch/work
before=$(wc -l <"$log")
crawl "$scratch/all.yaml" --work "$work"
check 'a further run ends well' equal 0 $?
check 'a host that was ill gets another chance' kept ill /x.png
# shellcheck disable=SC2016 # the dollar signs are awk's
again() { ! tail -n "+$((before + 1))" "$log" | awk '$1 == "control.test" || $1 == "ill.test" || $2 == "/robots.txt" || $2 ~ /^\/(short|drip|noise)$/ { next } { print; found = 1 } END { exit !found }'; }
check 'what failed gets one, too, and nothing that came is fetched twice' again

# ---- rules that change ----

work=$scratch/changing
configure "$scratch/changing.yaml" changing
crawl "$scratch/changing.yaml" --work "$work" --limit 1
check 'a limited crawl stops at its limit' equal 1 "$(count images)"
set_state changing=closed
crawl "$scratch/changing.yaml" --work "$work" -o crawl.robots_cache_h=0
check 'new rules hold for what was queued under the old ones' equal 2 "$(count forbidden)"
one() { equal 1 "$(grep -c '^changing.test /[123].png' "$log")"; }
check 'and nothing more is asked for' one

# ---- nobody there ----

work=$scratch/nobody
configure "$scratch/nobody.yaml" gone
sed -i "s/:$port/:1/" "$scratch/nobody.yaml"
crawl "$scratch/nobody.yaml" --work "$work"
check 'a crawl that nobody answers ends with code 4' equal 4 $?
check 'and names the host' grep -q 'gone.test:1' "$scratch/crawl.log"

# ---- nobody there, beside a crawl that is whole ----

work=$scratch/beside
configure "$scratch/beside.yaml" norobots gone
sed -i "s/gone.test:$port/gone.test:1/" "$scratch/beside.yaml"
crawl "$scratch/beside.yaml" --work "$work"
check 'a dead host does not spoil a crawl' equal 0 $?
crawl "$scratch/beside.yaml" --work "$work"
check 'nor when it is asked again, alone' equal 0 $?
sed -i "s/norobots.test:$port/norobots.test:2/" "$scratch/beside.yaml"
crawl "$scratch/beside.yaml" --work "$work" -o crawl.robots_cache_h=0
check 'nor does a new source that is dead' equal 0 $?
check 'what was fetched stays' equal 1 "$(count images)"

work=$scratch/down
configure "$scratch/down.yaml" changing
set_state changing=open
crawl "$scratch/down.yaml" --work "$work" --limit 1
kill "$server"
crawl "$scratch/down.yaml" --work "$work" -o crawl.robots_cache_h=0
check 'a crawl whose hosts have gone before its end is not called whole' equal 4 $?
start_server "$port"
crawl "$scratch/down.yaml" --work "$work" -o crawl.robots_cache_h=0
check 'when they are back it goes on' equal 3 "$(count images)"

# ---- failures, and another round ----

work=$scratch/round
configure "$scratch/round.yaml" flaky
sed -i 's/max_failure_share: 1/max_failure_share: 0.1/' "$scratch/round.yaml"
crawl "$scratch/round.yaml" --work "$work"
check 'more failures than allowed end with code 6' equal 6 $?
set_state flaky=well
crawl "$scratch/round.yaml" --work "$work"
check 'the same command tries them again' equal 0 $?
check 'and they come' kept flaky /x.png
check 'what was fetched is not asked for again' asked_is flaky /y.png 1
crawl "$scratch/round.yaml" --work "$work"
check 'then the crawl is up to date' grep -q 'up to date' "$scratch/crawl.log"

work=$scratch/classes
configure "$scratch/classes.yaml" norobots
sed -i 's/\[Dress, Coat\]/[Boot, Coat]/' "$scratch/classes.yaml"
crawl "$scratch/classes.yaml" --work "$work"
labelled() { zcat -f "$work"/crawl/*.warc.gz | grep -a '"class_name":' | has '"class_name":"Dress"'; }
unlabelled() { ! labelled; }
check 'a picture of no class has none' unlabelled
before=$(asked norobots /x.png)
sed -i 's/\[Boot, Coat\]/[Boot, Coat, Dress]/' "$scratch/classes.yaml"
crawl "$scratch/classes.yaml" --work "$work"
check 'a class that is added takes the pictures that name it' labelled
check 'which are not fetched again' asked_is norobots /x.png "$before"

echo "$n_passed passed, $n_failed failed"
[ "$n_failed" = 0 ]
