#!/usr/bin/env bash
# A row owns everything about its thing: a made-up method, source, measure and op, each put into a copy of the tree as its
# file and its line in a list and nothing else (an op with a kernel: and that), is configured, told, trained, crawled,
# measured and derived by the programs built there.
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

# ---- what changed ----

check 'a method, a measure and a source are two files each' equal "crawler/source/list.h crawler/source/made_up.c \
distill/measure/list.h distill/measure/made_up.c distill/method/list.h distill/method/made_up.c " "$(changed)"

# ---- an op, x/(1+|x|), and one with a kernel, ln(1+e^x): ONNX has both, and data for them ----

onnx_rows() { # onnx_rows NAME TYPE: how it is read and written
    cat <<C
static void read_onnx(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (!x || r->status != WS_OK)
        return;
    const int node = ws_net_unary(r->net, r->op, ws_onnx_name_after(r, NULL), x->node, 0, 0);
    if (node > 0)
        (void)ws_onnx_output_data(r, 0, node, x->rank, x->dims);
}

static void write_onnx(struct ws_onnx_writer *w, int id)
{
    ws_onnx_writer_unary(w, id, "$2", 1);
}

const struct ws_onnx_row ws_onnx_row_$1 = {
    .reads = (const struct ws_onnx_type[]){{"$2", 7, 20, read_onnx, NULL}, {.name = NULL}}, .write = write_onnx};

const struct ws_op_row ws_op_$1 = {.forward = forward, .backward = backward};
C
}
includes='#include "graph/row.h"
#include "images.h"
#include "onnx/message.h"
#include "onnx/reader.h"
'
{
    echo "$includes#include <math.h>"
    cat <<'C'

static void forward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const size_t n = ws_exec_image_floats(view, s->x);
    const float *x = ws_exec_image_value(view, s->x, image);
    float *y = view->value[s->out] + image * n;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / (1 + fabsf(x[i]));
}

static void backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const float *x = ws_exec_image_value(view, s->x, image), *dy = ws_exec_image_gradient(view, s->out, image);
    float *dx = ws_exec_image_gradient(view, s->x, image);
    for (size_t i = 0; i < ws_exec_image_floats(view, s->x); i++)
        dx[i] += dy[i] / ((1 + fabsf(x[i])) * (1 + fabsf(x[i])));
}

static void forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, forward_image);
}

static void backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, backward_image);
}

C
    onnx_rows made_up Softsign
} >"$tree/distill/nn/op/made_up.c"
{
    echo "$includes"
    cat <<'C'
static void forward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const size_t n = ws_exec_image_floats(view, s->x);
    view->kernels->unary(s->op, ws_exec_image_value(view, s->x, image), n, 0, 0, view->value[s->out] + image * n);
}

static void backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    view->kernels->unary_dx(s->op, ws_exec_image_gradient(view, s->out, image), ws_exec_image_value(view, s->x, image),
                         ws_exec_image_value(view, s->out, image), ws_exec_image_floats(view, s->x), 0, 0, true,
                         ws_exec_image_gradient(view, s->x, image));
}

static void forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, forward_image);
}

static void backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, backward_image);
}

C
    onnx_rows fast_made_up Softplus
} >"$tree/distill/nn/op/fast_made_up.c"
sed -i -E 's,^( +OP\(RESIZE.*),    OP(MADE_UP\, made_up\, "Softsign") OP(FAST_MADE_UP\, fast_made_up\, "Softplus") \\\n\1,' \
    "$tree/include/webstill/nn/ops.h"
sed -i -e 's,^    case WS_OP_TANH:$,    case WS_OP_FAST_MADE_UP:\n        EACH(MADE);\n&,' \
    -e '0,/EACH(MADE)/s//EACH(log1pf(exp_of(x[i])))/;s/EACH(MADE)/EACH(sigmoid_of(x[i]))/' "$tree/distill/nn/cpu/pointwise_impl.h"

check 'an op is two files, one with a kernel a third' equal "crawler/source/list.h crawler/source/made_up.c \
distill/measure/list.h distill/measure/made_up.c distill/method/list.h distill/method/made_up.c distill/nn/cpu/pointwise_impl.h \
distill/nn/op/fast_made_up.c distill/nn/op/made_up.c include/webstill/nn/ops.h " "$(changed)"

# ---- what it does ----

check 'and the tree builds without a warning' built

cat >"$tree/tests/grad/test_made_up.c" <<'C'
/* The made-up ops' gradients by differences, and their way through ONNX. */
#include "differences.h"

#include "webstill/nn/onnx.h"

static struct subject open_made_up(void)
{
    struct subject s = {.what = "made-up ops", .batch = 2, .mode = WS_BN_EVAL, .net = input(3, 2, 2)};
    const int x = ws_net_conv(s.net, "conv", 0, 3, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    const int y = ws_net_unary(s.net, WS_OP_MADE_UP, "made", x, 0, 0);
    ws_net_global_average_pool(s.net, "mean", ws_net_unary(s.net, WS_OP_FAST_MADE_UP, "fast", y, 0, 0));
    open_subject(&s, 5);
    return s;
}

static void made_up_ops_have_the_gradients_of_their_differences(void **state)
{
    (void)state;
    struct subject s = open_made_up();
    ws_net_zero_gradients(s.net);
    measure(&s);
    memcpy(ws_exec_output_gradient(s.exec, s.net->n_nodes - 1), s.weights, s.n_out * sizeof *s.weights);
    ws_exec_backward(s.exec);
    float gradient[64];
    assert_true(s.n_in <= 64);
    memcpy(gradient, ws_exec_input_gradient(s.exec), s.n_in * sizeof *gradient);
    compare(&s, "input", ws_exec_input(s.exec), gradient, s.n_in);
    close_subject(&s);
}

static void made_up_ops_come_back_from_onnx_with_the_same_values(void **state)
{
    (void)state;
    struct subject s = open_made_up(), back = {.batch = 2, .mode = WS_BN_EVAL};
    struct ws_buf file = {0};
    struct ws_onnx_info info = {0};
    struct ws_err err = {0};
    const struct ws_onnx_options options = {.output = s.net->n_nodes - 1, .opset = 17};
    check(ws_onnx_write(s.net, &options, &file, &err), &err);
    check(ws_onnx_read_bytes(&back.net, &info, file.ptr, file.len, NULL, "made up", &err), &err);
    assert_int_equal(back.net->nodes[2].op, WS_OP_MADE_UP);
    assert_int_equal(back.net->nodes[3].op, WS_OP_FAST_MADE_UP);
    measure(&s);
    check(ws_workers_open(&back.workers, 1, &err), &err);
    const struct ws_exec_options run = {.max_batch = 2};
    check(ws_exec_open(&back.exec, back.net, back.workers, &run, &err), &err);
    memcpy(ws_exec_input(back.exec), ws_exec_input(s.exec), s.n_in * sizeof(float));
    ws_exec_forward(back.exec, 2, WS_BN_EVAL);
    assert_memory_equal(ws_exec_value(back.exec, info.logits), ws_exec_value(s.exec, options.output),
                        s.n_out * sizeof(float));
    close_subject(&back);
    close_subject(&s);
    ws_onnx_info_fini(&info);
    ws_buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_up_ops_have_the_gradients_of_their_differences),
                                       cmocka_unit_test(made_up_ops_come_back_from_onnx_with_the_same_values)};
    return cmocka_run_group_tests_name("made_up", tests, NULL, NULL);
}
C
test_of() { make -s -C "$tree" "build/release/tests/$1" && (cd "$tree" && "build/release/tests/$1"); }
# node_tests FOLDER: how many of ONNX's own node tests pass there
node_tests() { (cd "$1" && build/release/tests/format/test_onnx_nodes) | sed -n "s/^ONNX's node tests: \\([0-9]*\\) pass.*/\\1/p"; }
built_nodes() { make -s build/release/tests/format/test_onnx_nodes && make -s -C "$tree" build/release/tests/format/test_onnx_nodes; }
check "the ops' gradients are those of their differences, and they come back from ONNX" test_of grad/test_made_up
check "ONNX's own node tests are built with them" built_nodes
n_nodes=$(node_tests . 2>/dev/null)
[ -z "$n_nodes" ] || check 'and four more of them pass' equal "$((n_nodes + 4))" "$(node_tests "$tree" 2>/dev/null)"

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
