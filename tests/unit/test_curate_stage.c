/* The stage `curate` as a command: rules beyond KD3's, reasons, drift between two runs, --explain. */
#include "../../curate/commands.h"
#include "../../store/commands.h"
#include "near.h"
#include "program.h"
#include "workdir.h"

#include "webstill/tensors/selection.h"

enum { N = 300, CLASSES = 3 };

static enum ws_status curate(struct workdir *work, const char *explain, char **out, struct ws_err *err)
{
    char path[TEMP_PATH];
    const struct ws_option_value options[] = {{explain ? "explain" : NULL, explain}, {NULL, NULL}};
    const struct ws_run run = {
        .config = work->config, .config_path = work->config_path, .work = work->folder, .options = options};
    *err = (struct ws_err){0};
    workdir_path(work, path, "stdout.txt");
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0 && freopen(path, "w", stdout) != NULL);
    const enum ws_status status = ws_curate_command(&run, err);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    struct ws_buf caught = {0};
    struct ws_err ignored = {0};
    assert_int_equal(ws_file_read(path, 1 << 24, &caught, &ignored), WS_OK);
    *out = caught.ptr ? caught.ptr : calloc(1, 1);
    temp_remove(path);
    return status;
}

/* Run it, forget what it printed. */
static void must_curate(struct workdir *work)
{
    struct ws_err err;
    char *text;
    if (curate(work, NULL, &text, &err) != WS_OK)
        fail_msg("%s", err.text);
    free(text);
}

static json_t *facts_of(const struct workdir *work)
{
    char path[TEMP_PATH];
    json_t *root = NULL;
    WORKDIR_OK(ws_manifest_read(workdir_path(work, path, "selection/manifest.json"), &root, err));
    json_t *facts = json_incref(json_object_get(root, "facts"));
    json_decref(root);
    return facts;
}

static void open_selection(const struct workdir *work, struct ws_selection_file *file)
{
    char path[TEMP_PATH];
    WORKDIR_OK(ws_selection_open(file, workdir_path(work, path, "selection/epoch.safetensors"), err));
    assert_true(file->n == N && file->reason && file->weight);
}

static void every_image_has_a_reason_and_the_kept_ones_weigh_one_on_average(void **state)
{
    struct workdir work;
    struct ws_selection_file file;
    workdir_make(&work, *state, N, 1);
    KEYS(work.config, curate)->density = WS_DENSITY_WEIGHT;
    KEYS(work.config, curate)->source_precision = WS_BY_QUERY;
    KEYS(work.config, curate)->quota = .4;
    KEYS(work.config, curate)->quota_of = WS_BY_QUERY;
    KEYS(work.config, curate)->quota_at_least = 1;
    KEYS(work.config, curate)->p_cutoff = .6;
    must_curate(&work);
    open_selection(&work, &file);
    double sum = 0;
    int64_t counts[5] = {0}, kept = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(file.reason[i] < 5);
        assert_int_equal(file.keep[i], file.reason[i] == 0);
        assert_int_equal((double)file.confidence[i] > file.threshold[file.predicted[i]], file.reason[i] != 1);
        counts[file.reason[i]]++;
        kept += file.keep[i];
        sum += (double)file.weight[i];
    }
    assert_true(counts[1] > 0 && counts[4] > 0);
    assert_near(sum / (double)kept, 1, 1e-6);
    json_t *facts = facts_of(&work), *dropped = json_object_get(facts, "dropped");
    for (int reason = 1; reason < 5; reason++)
        assert_int_equal(json_integer_value(json_object_get(dropped, ws_selection_reason_name(reason))),
                         counts[reason]);
    const json_t *rows = json_object_get(json_object_get(facts, "sources"), "rows");
    assert_int_equal(json_array_size(rows), CLASSES); /* a query each */
    json_int_t judged = 0;
    for (size_t s = 0; s < CLASSES; s++) {
        const json_t *row = json_array_get(rows, s);
        judged += json_integer_value(json_object_get(row, "judged"));
        assert_true(json_real_value(json_object_get(row, "weight")) <= 1);
    }
    assert_int_equal(judged, N);
    json_decref(facts);
    ws_selection_close(&file);
    workdir_free(&work);
}

static void without_such_rules_the_selection_is_kd3s_alone(void **state)
{
    struct workdir work;
    struct ws_selection_file file;
    workdir_make(&work, *state, N, 1);
    KEYS(work.config, curate)->p_cutoff = .6;
    must_curate(&work);
    open_selection(&work, &file);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(file.keep[i], (double)file.confidence[i] > file.threshold[file.predicted[i]]);
        assert_int_equal(file.reason[i], file.keep[i] ? 0 : 1);
        assert_true(file.weight[i] == (float)file.keep[i]);
    }
    ws_selection_close(&file);
    workdir_free(&work);
}

static void a_run_is_compared_with_the_last_whole_one(void **state)
{
    struct workdir work;
    struct ws_err err;
    char path[TEMP_PATH], *text, hex[WS_DIGEST_HEX];
    workdir_make(&work, *state, N, 1);
    must_curate(&work); /* against the made-up one of workdir_make() */
    const struct ws_digest first = workdir_digest(&work, "selection/epoch.safetensors");
    ws_digest_hex(&first, hex);
    for (size_t i = 0; i < N; i++) /* the refresh brings nothing but class 2 */
        work.logits[i * CLASSES + 2] += 6;
    workdir_scores(&work);
    workdir_manifest(&work, "score", "scores", "store", "scores/teacher.safetensors", N);
    assert_int_equal(curate(&work, NULL, &text, &err), WS_OK);
    assert_non_null(strstr(text, "since the last run (300 images, now 300)"));
    free(text);
    json_t *facts = facts_of(&work), *drift = json_object_get(facts, "drift");
    const double divergence = json_real_value(json_object_get(drift, "class_drift"));
    assert_true(divergence > .3 && divergence <= 1);
    assert_string_equal(json_string_value(json_object_get(drift, "against")), hex);
    json_decref(facts);
    /* Killed behind the selection and before its manifest: run again, it compares with the same one. */
    temp_remove(workdir_path(&work, path, "selection/manifest.json"));
    must_curate(&work);
    facts = facts_of(&work);
    drift = json_object_get(facts, "drift");
    assert_string_equal(json_string_value(json_object_get(drift, "against")), hex);
    assert_true(json_real_value(json_object_get(drift, "class_drift")) == divergence);
    json_decref(facts);
    workdir_free(&work);
}

static void must_tell_no_drift(struct workdir *work)
{
    struct ws_err err;
    char *text;
    assert_int_equal(curate(work, NULL, &text, &err), WS_OK);
    assert_null(strstr(text, "since the last run"));
    free(text);
    json_t *facts = facts_of(work);
    assert_null(json_object_get(facts, "drift"));
    json_decref(facts);
}

/* A run with a student, then one without, is no drift of the pool. */
static void a_run_of_another_mixture_is_not_compared_with(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, N, 1);
    workdir_select(&work, "selection/epoch.safetensors", 2); /* alpha 1/2 */
    must_tell_no_drift(&work);
    workdir_free(&work);
}

static void the_first_run_has_nothing_to_compare_with(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, N, 1);
    temp_remove(workdir_path(&work, path, "selection"));
    must_tell_no_drift(&work);
    workdir_free(&work);
}

/* Fields of a line, between tabs. */
static int split(char *line, char *fields[16])
{
    int n = 0;
    for (char *rest = line; rest && n < 16; n++) {
        fields[n] = rest;
        rest = strchr(rest, '\t');
        if (rest)
            *rest++ = '\0';
    }
    return n;
}

static void explain_lists_a_class_by_rank_with_threshold_and_fate(void **state)
{
    struct workdir work;
    struct ws_err err;
    struct ws_selection_file file;
    char *text;
    workdir_make(&work, *state, N, 1);
    KEYS(work.config, curate)->p_cutoff = .6;
    assert_int_equal(curate(&work, "Trouser", &text, &err), WS_OK);
    assert_null(strstr(text, "predicted")); /* the table stays away: the output is for programs */
    open_selection(&work, &file);
    int64_t rank = 0;
    double last = 2;
    char *line = strtok(text, "\n"), *fields[16];
    assert_string_equal(line, "id\tclass\tconfidence\tthreshold\trank\tof_class\tfate\tdropped_by\tweight");
    while ((line = strtok(NULL, "\n"))) {
        struct ws_image_id id;
        assert_int_equal(split(line, fields), 9);
        assert_true(ws_image_id_parse(fields[0], &id));
        const int64_t row = ws_id_find(file.ids, file.n, &id);
        assert_true(row >= 0 && file.predicted[row] == 1);
        assert_near(strtod(fields[2], NULL), file.confidence[row], 1e-6);
        assert_near(strtod(fields[3], NULL), file.threshold[1], 1e-6);
        assert_true(strtod(fields[2], NULL) <= last);
        last = strtod(fields[2], NULL);
        assert_int_equal(strtol(fields[4], NULL, 10), ++rank);
        assert_int_equal(strtol(fields[5], NULL, 10), file.n_predicted[1]);
        assert_string_equal(fields[6], file.keep[row] ? "kept" : "dropped");
        assert_string_equal(fields[7], file.keep[row] ? "-" : "threshold");
    }
    assert_int_equal(rank, file.n_predicted[1]);
    free(text);
    ws_selection_close(&file);
    workdir_free(&work);
}

static void explain_takes_an_id_and_says_what_it_does_not_know(void **state)
{
    struct workdir work;
    struct ws_err err;
    char *text, hex[WS_IMAGE_ID_HEX];
    workdir_make(&work, *state, N, 1);
    ws_image_id_hex(&work.ids[17], hex);
    assert_int_equal(curate(&work, hex, &text, &err), WS_OK);
    assert_non_null(strstr(text, hex));
    free(text);
    assert_int_equal(curate(&work, "Zeppelin", &text, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "\"Zeppelin\" is neither a class"));
    free(text);
    assert_int_equal(curate(&work, "00000000000000000000000000000000", &text, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "no image of 300"));
    free(text);
    workdir_free(&work);
}

/* The story of an image agrees with the file about its rank, its rule and its weight. */
static void a_story_tells_which_rule_dropped_an_image(void **state)
{
    struct workdir work;
    struct ws_selection_file file;
    struct ws_err err = {0};
    workdir_make(&work, *state, N, 1);
    KEYS(work.config, curate)->quota = .4;
    KEYS(work.config, curate)->quota_of = WS_BY_QUERY;
    KEYS(work.config, curate)->quota_at_least = 1;
    KEYS(work.config, curate)->p_cutoff = .6;
    must_curate(&work);
    open_selection(&work, &file);
    bool is_told[5] = {false};
    for (size_t i = 0; i < N; i++) {
        char hex[WS_IMAGE_ID_HEX], *text;
        size_t of_class;
        if (is_told[file.reason[i]])
            continue;
        is_told[file.reason[i]] = true;
        ws_image_id_hex(&file.ids[i], hex);
        assert_int_equal(workdir_run(&work, ws_explain_command, hex, true, &text, &err), WS_OK);
        json_t *story = json_loads(text, 0, NULL);
        const json_t *fate = json_array_get(json_object_get(story, "curate"), 0);
        assert_string_equal(json_string_value(json_object_get(fate, "reason")),
                            ws_selection_reason_name(file.reason[i]));
        assert_int_equal(json_integer_value(json_object_get(fate, "rank")),
                         ws_selection_file_rank(&file, i, &of_class));
        assert_int_equal(json_integer_value(json_object_get(fate, "of_class")), of_class);
        assert_near(json_number_value(json_object_get(fate, "weight")), file.weight[i], 1e-6);
        json_decref(story);
        free(text);
    }
    assert_true(is_told[0] && is_told[1] && is_told[4]);
    ws_selection_close(&file);
    workdir_free(&work);
}

static void scores_of_another_pool_are_refused_where_the_store_is_needed(void **state)
{
    struct workdir work;
    struct ws_err err;
    char *text;
    workdir_make(&work, *state, N, 1);
    work.ids[0].bytes[0] ^= 1;
    workdir_scores(&work);
    workdir_manifest(&work, "score", "scores", "store", "scores/teacher.safetensors", N);
    must_curate(&work);
    KEYS(work.config, curate)->density = WS_DENSITY_DROP;
    assert_int_equal(curate(&work, NULL, &text, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "the store does not hold it"));
    assert_non_null(strstr(err.hint, "webstill score"));
    free(text);
    workdir_free(&work);
}

/* Every third image is listed: thresholds and ranks are those of the listed ones among themselves. */
static void the_rule_looks_at_the_images_of_distill_pool_alone(void **state)
{
    enum { LISTED = N / 3 };
    struct workdir work;
    struct ws_selection_file file = {0};
    struct ws_buf list = {0};
    char path[TEMP_PATH], hex[WS_IMAGE_ID_HEX];
    workdir_make(&work, *state, N, 1);
    must_curate(&work);
    for (int i = 0; i < N; i += 3) {
        ws_image_id_hex(&work.ids[i], hex);
        assert_true(ws_buf_addf(&list, "%s\n", hex));
    }
    workdir_path(&work, path, "pool.txt");
    WORKDIR_OK(ws_file_replace(path, list.ptr, list.len, err));
    char *before = KEYS(work.config, distill)->runs.pool; /* the configuration's own, freed with it */
    KEYS(work.config, distill)->runs.pool = path;
    must_curate(&work);
    WORKDIR_OK(ws_selection_open(&file, workdir_path(&work, (char[TEMP_PATH]){0}, "selection/epoch.safetensors"), err));
    assert_int_equal(file.n, LISTED);
    for (int i = 0; i < LISTED; i++)
        assert_memory_equal(&file.ids[i], &work.ids[3 * i], sizeof file.ids[i]);
    int64_t n_predicted = 0;
    for (int c = 0; c < CLASSES; c++) {
        double largest = 0;
        for (int i = 0; i < LISTED; i++)
            if (file.predicted[i] == c && file.confidence[i] > largest)
                largest = file.confidence[i];
        assert_true(file.threshold[c] <= largest);
        n_predicted += file.n_predicted[c];
    }
    assert_int_equal(n_predicted, LISTED);
    ws_selection_close(&file);
    KEYS(work.config, distill)->runs.pool = before;
    ws_buf_fini(&list);
    workdir_free(&work);
}

static void a_pool_that_cannot_be_read_is_named_with_its_key(void **state)
{
    struct workdir work;
    struct ws_err why;
    char path[TEMP_PATH], *text;
    static const char foreign[] = "00000000000000000000000000000000\n";
    workdir_make(&work, *state, N, 1);
    char *before = KEYS(work.config, distill)->runs.pool;
    KEYS(work.config, distill)->runs.pool = workdir_path(&work, path, "pool.txt");
    assert_int_equal(curate(&work, NULL, &text, &why), WS_E_CONFIG);
    assert_non_null(strstr(why.text, "distill.pool"));
    assert_non_null(strstr(why.text, "does not exist"));
    free(text);
    WORKDIR_OK(ws_file_replace(path, foreign, sizeof foreign - 1, err));
    assert_int_equal(curate(&work, NULL, &text, &why), WS_E_CONFIG);
    assert_non_null(strstr(why.text, "distill.pool"));
    assert_non_null(strstr(why.text, "pool.txt:1"));
    free(text);
    KEYS(work.config, distill)->runs.pool = before;
    workdir_free(&work);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_image_has_a_reason_and_the_kept_ones_weigh_one_on_average),
        IN_FOLDER(without_such_rules_the_selection_is_kd3s_alone),
        IN_FOLDER(a_run_is_compared_with_the_last_whole_one),
        IN_FOLDER(a_run_of_another_mixture_is_not_compared_with),
        IN_FOLDER(the_first_run_has_nothing_to_compare_with),
        IN_FOLDER(explain_lists_a_class_by_rank_with_threshold_and_fate),
        IN_FOLDER(explain_takes_an_id_and_says_what_it_does_not_know),
        IN_FOLDER(a_story_tells_which_rule_dropped_an_image),
        IN_FOLDER(scores_of_another_pool_are_refused_where_the_store_is_needed),
        IN_FOLDER(the_rule_looks_at_the_images_of_distill_pool_alone),
        IN_FOLDER(a_pool_that_cannot_be_read_is_named_with_its_key),
    };
    return cmocka_run_group_tests_name("curate", tests, NULL, NULL);
}
