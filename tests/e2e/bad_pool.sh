#!/usr/bin/env bash
# Pools that promise little: tiny ones, one class missing, nothing but junk, queries that are not the teacher's classes,
# a student as large as its teacher. Each runs with a warning that says what to expect, or is refused with the reason.
#
# usage: tests/e2e/bad_pool.sh        scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin bad_pool

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
# pool WORK CONFIG [OPTION...]: the base's teacher, and another crawl up to its scores.
pool() {
    local work=$1 s
    config=$2
    shift 2
    mkdir -p "$work" && cp -a "$base/teacher" "$work/" || return 1
    for s in crawl store score; do
        run stage $s "$work" "$@"
        ended 0 || return 1
    done
}
silent() { ! grep -F -- "$1" "$scratch/output"; }

check 'the small web is served' serve
small=$config
base=$scratch/base
base_scores() { local s; for s in crawl store teacher score curate; do run stage $s "$base"; ended 0 || return 1; done; }
check 'the whole small web gives scores and a selection' base_scores
check 'whose teacher is not said to know other classes' silent 'search words'

told 'a student as large as its teacher is told what it is worth' 12 'resnet8' 'no smaller than the teacher' \
    'at best as good' -- stage distill "$base" --limit 1
told 'a smaller student is not' 12 -- stage distill "$base" --limit 1 -o distill.arch=lenet-half \
    -o 'distill.methods=[kd]'
check '(no word of its size)' silent 'no smaller than'

few=(-o crawl.per_query_max=1
    -o "crawl.sources=[{kind: mediawiki, url: \"http://commons.fashion.test:$port/w/api.php\"}]")
check 'a pool of a picture for each query' pool "$scratch/few" "$small" "${few[@]}"
told 'curate says how far it is from usual, and which classes it lacks' 0 'images for 10 classes' 'hundreds of each' \
    'expect a student far below the teacher' 'images is taken for "' -- stage curate "$scratch/few" "${few[@]}"
# With a cutoff that keeps all: which of 17 images a student of a few steps is sure of, rounding decides.
told 'distill says so too, runs, and ends' 0 'fewer than one batch of 32' 'images for 10 classes' 'agreement' -- \
    stage distill "$scratch/few" "${few[@]}" -o curate.p_cutoff=0
told 'so does kd3+, which refines the few there are' 0 'fewer than one batch of 32' 'agreement' -- \
    stage distill "$scratch/few" "${few[@]}" --method kd3+ -o distill.kd3_plus.refine_steps=2

fewer=(-o crawl.max_pages=1 -o "crawl.sources=[{kind: pages, url: \"http://private.fashion.test:$port/\"}]")
check 'a pool of three pictures' pool "$scratch/fewer" "$small" "${fewer[@]}"
told 'is curated with a warning' 0 'the pool has 3 images' -- stage curate "$scratch/fewer" "${fewer[@]}"
told 'and no student can be trained on what is not held out of it' 2 'expected at least 2' 'hint: ' -- \
    stage distill "$scratch/fewer" "${fewer[@]}" -o distill.holdout=0.9

sed 's/queries: \[coat, jacket\]/queries: [xyzzy]/' "$small" >"$scratch/coatless.yaml"
check 'a pool without pictures of one class' pool "$scratch/coatless" "$scratch/coatless.yaml"
told 'curate names the class' 0 'found for "Coat"' 'expect it to know it worse' -- stage curate "$scratch/coatless"
told 'distill names it for a method that selects nothing, too, and runs' 0 'found for "Coat"' 'agreement' -- \
    stage distill "$scratch/coatless" --method kd
config=$small

# Every class is searched by the words of the one before it: names and teacher agree, the queries do not.
awk '/queries: \[/ { match($0, /queries: .*\]/); own = substr($0, RSTART, RLENGTH)
                     print substr($0, 1, RSTART - 1) (last ? last : "queries: [boot]") "}"; last = own; next } { print }' \
    "$small" >"$scratch/turned.yaml"
check 'a pool searched by the wrong words' pool "$scratch/turned" "$scratch/turned.yaml"
told 'curate says that teacher and queries do not match, and what to expect' 0 'the search words' 'chance' \
    'xpect a student' -- stage curate "$scratch/turned"
told 'distill says so too, and runs' 0 'the search words' 'xpect a student' -- stage distill "$scratch/turned" --method kd
config=$small

# The rules beyond KD3's on a real store.
told 'near duplicates, sources and quotas are told in the table' 0 'density' 'quota' 'precision' 'since the last run' -- \
    stage curate "$base" -o curate.density=drop -o curate.source_precision=query -o curate.quota=0.5
check 'and in the manifest' eval '[ "$(value "$base/selection/manifest.json" ".facts.dropped.density")" -gt 0 ] &&
    [ "$(value "$base/selection/manifest.json" ".facts.sources.rows | length")" -gt 5 ] &&
    [ "$(value "$base/selection/manifest.json" ".facts.drift.images_before")" -gt 100 ]'
rows() {
    stage curate "$base" -o curate.density=drop -o curate.source_precision=query -o curate.quota=0.5 --explain all \
        2>"$scratch/said" | tail -n +2
}
check 'each image is explained, and with its rule' eval '[ "$(rows | wc -l)" = "$(value "$base/selection/manifest.json" \
    .counts.images)" ] && [ "$(rows | cut -f8 | grep -c density)" = "$(value "$base/selection/manifest.json" \
    .facts.dropped.density)" ]'
told 'kd3 trains with the same rules' 0 'sources; the teacher believes' -- stage distill "$base" --method kd3 \
    -o curate.density=weight -o curate.source_precision=query -o curate.quota=0.5
told 'without an alignment it says that it has nothing to weigh' 12 'no alignment for them to weigh' -- \
    stage distill "$base" --limit 1 --method kd3 -o distill.kd3.share=false -o curate.density=weight

# Only pictures that, as the web's builder knows, show no class.
write_junk() {
    node -e "import('./tests/reproduce/pools.mjs').then(({ readStoreIds, readTruth }) => {
        const truth = readTruth('build/web-small');
        const junk = readStoreIds('$base').filter((id) => truth.get(id)?.shows === false);
        require('fs').writeFileSync('$scratch/junk.txt', junk.map((id) => id + '\\n').join(''));
    })" && [ "$(wc -l <"$scratch/junk.txt")" -gt 50 ]
}
check 'a pool of junk alone' write_junk
junk=(-o "distill.pool=$scratch/junk.txt")
told 'curate says that its pictures show something else, and what to expect' 0 'the pictures show something else' \
    'Expect a student that learns' -- stage curate "$base" "${junk[@]}"
told 'distill says so too, and runs' 0 'the pictures show something else' 'agreement' -- \
    stage distill "$base" "${junk[@]}" --method kd

finish
