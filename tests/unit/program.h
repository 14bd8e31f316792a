/**
 * One program that reads everything, and configurations in memory: what the stages' programs are one by one.
 *
 *   struct ws_config config;
 *   test_config_init(&config);                          // the defaults, no classes
 *   KEYS(&config, distill)->batch = 16;                 // struct ws_distill_keys of section `distill`
 *   ws_config_fini(&config);
 */
#ifndef WEBSTILL_TESTS_UNIT_PROGRAM_H
#define WEBSTILL_TESTS_UNIT_PROGRAM_H

#include "../../crawler/keys.h"
#include "../../crawler/source/source.h"
#include "../../distill/commands.h"
#include "../../distill/keys/distill.h"
#include "../../distill/keys/teacher.h"
#include "../../distill/method/kd3/keys.h"
#include "../../distill/method/methods.h"
#include "../../store/report/keys.h"

#include "webstill/curate/keys.h"
#include "webstill/picture/keys.h"
#include "webstill/stage/config.h"

#include <string.h>

enum { TEST_SECTIONS = 64 };

/** The sections of the configuration in the reference's order. */
static inline const struct ws_program *test_program(void)
{
    static const struct ws_conf_section *sections[TEST_SECTIONS];
    static const struct ws_program program = {.name = "all", .sections = sections, .method_reads = ws_method_reads};
    const struct ws_conf_section *const crawl[] = {&ws_top_section, &ws_crawl_section};
    const struct ws_conf_section *const before[] = {&ws_store_section, &ws_teacher_section, &ws_score_section,
                                                    &ws_curate_section, &ws_distill_section};
    const struct ws_conf_section *const behind[] = {&ws_eval_section, &ws_export_section, &ws_report_section};
    size_t n = 0;
    for (size_t i = 0; i < sizeof crawl / sizeof crawl[0]; i++)
        sections[n++] = crawl[i];
    n += ws_source_sections(sections + n, 16);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        sections[n++] = before[i];
    n += ws_method_sections(sections + n, TEST_SECTIONS - 40);
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        sections[n++] = behind[i];
    sections[n] = NULL;
    return &program;
}

static inline void test_config_init(struct ws_config *config)
{
    struct ws_err err = {0};
    const enum ws_status status = ws_config_init(config, test_program(), &err);
    ws_assert(status == WS_OK);
}

/** Give an initialised configuration another one's values; lists and texts stay the other one's. */
static inline void test_config_copy(struct ws_config *to, const struct ws_config *from)
{
    for (size_t i = 0; to->program->sections[i]; i++) {
        const struct ws_conf_section *section = to->program->sections[i];
        memcpy(ws_conf_edit(to->conf, section), ws_conf_get(from->conf, section), section->size_bytes);
    }
}

/** The struct of a section, to be changed. */
#define KEYS(config, name) ((struct ws_##name##_keys *)ws_conf_edit((config)->conf, &ws_##name##_section))

#endif
