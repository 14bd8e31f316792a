#!/usr/bin/env bash
# A row owns everything about its thing: a made-up method, source and measure, each put into a copy of the tree as its file
# and its line in a list and nothing else, is configured, told, trained, crawled and measured by the programs built there.
#
# usage: tests/e2e/rows.sh        scratch below build/tmp/, nothing left behind; last line "N passed, M failed"
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/e2e/common.bash
begin rows
tree=$scratch/tree

copy_tree() {
    mkdir -p "$tree/build/release" && git ls-files -z --cached --others --exclude-standard |
        tar --null -T - -c --ignore-failed-read 2>/dev/null | tar -x -C "$tree" &&
        tar -C build/release --exclude=./tests -c . | tar -x -C "$tree/build/release"
}
# add_line LIST NAME: its line at the end of a list of rows.
add_line() { sed -i -E '/^ +[A-Z]+\([a-z_0-9]+\)$/s/$/ \\/; /^ +[A-Z]+\([a-z_0-9]+\) \\$/{h}; /^\/\* clang-format on/{x;s/\([a-z_0-9]+\) *\\/('"$2"')/;G}' "$tree/$1"; }
# Which files of the tree differ from ours, and which are new.
changed() {
    diff -rq --exclude=build --exclude=work --exclude=.git . "$tree" | grep -F "$tree" |
        sed -E "s,^Only in $tree/?(.*): ,\1/,; s,^Files (\./)?(.*) and .* differ,\2," | sort | tr '\n' ' '
}
built() { make -s -C "$tree" -j"$(nproc)" all; }

check 'the tree is copied with what was built of it' copy_tree
check 'and nothing in it differs' equal '' "$(changed)"

# ---- a method, with a key of its own ----

cat >"$tree/distill/method/made_up.c" <<'C'
/* Made up: kd's loss at the temperature of its own key. */
#include "methods.h"

struct made_up_keys {
    double warmth;
};

static const struct ws_conf_key keys[] = {
    {WS_CONF_NUMBER(struct made_up_keys, warmth), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "2", .help = "A sentence of the made-up key."},
    {.name = NULL},
};

static const struct ws_conf_section section = {
    .name = "distill.made_up",
    .title = "Method made-up.",
    WS_CONF_KEYS(struct made_up_keys, keys),
};

static void losses(void *state, struct ws_step *step)
{
    (void)state;
    const struct made_up_keys *own = ws_config_keys(step->training->session->config, &section);
    ws_step_distill(step, own->warmth);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {0}};
static const struct ws_conf_section *const sections[] = {&section, NULL};

const struct ws_method ws_method_made_up = {
    .name = "made-up",
    .summary = "a method that only a test knows",
    .sections = sections,
    .needs = needs,
    .phases = phases,
};
C
add_line distill/method/list.h made_up

# ---- a measure ----

cat >"$tree/distill/measure/made_up.c" <<'C'
/* Made up: the mean label. */
#include "measure.h"

static double label_of(const struct ws_exam_image *image)
{
    return image->label;
}

const struct ws_measure ws_measure_made_up = {.name = "mean_label", .summary = "mean label", .of_image = label_of};
C
add_line distill/measure/list.h made_up

# ---- a source ----

cat >"$tree/crawler/source/made_up.c" <<'C'
/* Made up: takes the address itself for its only picture, whatever it answers. */
#include "source.h"

#include <stdio.h>

static enum ws_status begin(const struct ws_visit *visit, struct ws_err *err)
{
    (void)err;
    snprintf(visit->cursor->url, sizeof visit->cursor->url, "%s", visit->search->source->url);
    return WS_OK;
}

static enum ws_status read_answer(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err)
{
    const struct ws_sighting sighting = {
        .url = &response->request->url, .query = visit->search->query, .class_name = visit->search->class_name};
    visit->cursor->is_done = true;
    visit->cursor->url[0] = '\0';
    return visit->admit(visit->crawl, &sighting, err);
}

const struct ws_source_ops ws_source_made_up = {
    .name = "made_up", .summary = "url is the picture", .accept = "*/*", .begin = begin, .read = read_answer};
C
add_line crawler/source/list.h made_up

# ---- what changed, and what it does ----

check 'a method, a measure and a source are two files each' equal "crawler/source/list.h crawler/source/made_up.c \
distill/measure/list.h distill/measure/made_up.c distill/method/list.h distill/method/made_up.c " "$(changed)"
check 'and the tree builds without a warning' built

bin=$tree/build/release/bin
run "$bin/webstill" config --reference
check 'the reference tells what the method and the source are' ended 0 'made-up  a method that only a test knows' \
    'made_up    url is the picture'
check "the reference tells the method's key and sentence" ended 0 'made_up:' 'warmth: 2' 'A sentence of the made-up key.'
run "$bin/webstill" config "$config" -o distill.made_up.warmht=3
check 'a typo in it is refused with the nearest name' ended 2 'did you mean "warmth"?'
run "$bin/webstill" config "$config" -o distill.made_up.warmth=0
check 'and a value out of its range' ended 2 'warmth'

check 'the small web is served' serve
work=$scratch/work
o=(-o 'distill.methods=[made-up]' -o distill.epochs=2 -o teacher.steps=10)
whole() { local s; for s in "${pipeline_stages[@]}"; do run stage "$s" "$work" "${o[@]}"; ended 0 || return 1; done; }
check 'the pipeline runs with the method, from crawl to report' whole
check 'its student is there' test -s "$work/runs/made-up/student.onnx"
told_measure() { [ "$(value "$work/runs/made-up/eval.json" '.mean_label > 0 and .mean_label < 9')" = true ]; }
check 'the measure stands in eval.json' told_measure
run stage distill "$work" "${o[@]}" --dry-run
check 'a finished run is up to date' ended 0 'up to date'
run stage distill "$work" "${o[@]}" -o distill.made_up.warmth=3 --dry-run
check 'until a key of the method changes' eval 'ended 0 && ! grep -q "made-up: up to date" "$scratch/output"'

picture=$(zcat "$work"/crawl/*.warc.gz | tr -d '\r' | grep -am 1 '^WARC-Target-URI: .*\.png$' | cut -d' ' -f2)
run stage crawl "$scratch/other" -o "crawl.sources=[{kind: made_up, url: \"$picture\"}]"
check 'the source crawls its picture' eval 'ended 0 && equal 1 "$(value "$scratch/other/crawl/manifest.json" .counts.images)"'
run stage crawl "$scratch/other" -o "crawl.sources=[{kind: made_upp, url: \"$picture\"}]"
check 'and its word is known where it is misspelt' ended 2 'made_up'

finish
