/**
 * webstill-crawl: class names to WARC files, politely. Its sources in reading order; a room uses those above it alone:
 *
 *   command.c      the stage: is there anything left to crawl?
 *   round.c        open the books, crawl, close them; the one place that hands the jobs to the loop
 *
 *   keys.c         section `crawl` of the configuration: every room stands on it
 *   net/           knows nothing of a crawl
 *     url.c        one thing has one name            guard.c    which addresses may be connected to
 *     head.c       fields of an answer               resolve.c  names to addresses
 *     text.c       text from the web made fit        fetch.c    transfers: start, wait, next, release
 *     robots.c     RFC 9309, and a permission        failure.c  why something did not come
 *   page/          what stands in an HTML page
 *     html.c       pictures, links, title            srcset.c   the largest candidate
 *     consent.c    refusals in heads and metas       words.c    does a text name a class?   format.c  by extension
 *   books/         what is kept
 *     frontier.c   an LMDB environment (url.c, queue.c, task.c: its tables)      archive.c  the WARC records
 *     cursor.c     where a search stands             walk.c     the pages of a walk
 *     parked.c     hosts left alone, and why         books.c    all of these, opened and closed together
 *     outcome.c    figures and verdict               failures.c failures.jsonl
 *   turn/          who is asked, and when
 *     hosts.c      a table and a heap                turns.c    queue, pace, start, try again, park
 *     errand.h     a row {start, conclude} a job     loop.c     the loop, which knows of jobs only these rows
 *   source/        a kind of place to look, a row each (list.h): reads answers, hands on finds
 *     pages.c      walks over seed pages             mediawiki.c  an API (mediawiki_answer.c: its XML)
 *   job/           what an errand is for
 *     agenda.c     all searches of a configuration   answer.c   status, redirect, failure: told once
 *     rules.c      robots.txt before anything        search.c   a source's requests, one after another
 *     picture.c    a picture's URL to its end        admit.c    a find into frontier and archive
 *
 * A URL's way: search.c reads it off a page (pages.c) → admit.c → turns.c queues it → loop.c → picture.c asks rules.c →
 * turns.c starts it → fetch.c → loop.c → picture.c → archive.c.
 */
#include "commands.h"
#include "keys.h"
#include "source/source.h"

static const struct ws_command commands[] = {
    {
        .name = "crawl",
        .summary = "class names to WARC files, politely",
        .usage = "CONFIG [options]",
        .details =
            "Asks the search APIs and seed pages of crawl.sources for each class's queries and fetches the pictures "
            "they\n"
            "name into WORK/crawl/*.warc.gz (WARC 1.1). robots.txt comes before anything else; each host gets its\n"
            "delay; opt-outs in answers are obeyed; private addresses are refused unless crawl.allow_addresses names\n"
            "them. WORK/crawl/failures.jsonl tells what was not kept, and why.\n\n"
            "Can be stopped at any instant and run again: it goes on where the frontier's last commit stands. New\n"
            "classes or sources add to what is there. --limit N stops at N pictures; --dry-run prints the plan and\n"
            "asks nobody.\n\n"
            "Example: webstill crawl configs/web-fashion.yaml --limit 100",
        .needs_config = true,
        .run = ws_crawl_command,
    },
    WS_CONFIG_COMMAND,
    {.name = NULL},
};

enum { MAX_SECTIONS = 32 };

static const struct ws_conf_listing listings[] = {{"crawl.sources", ws_source_kind_row}, {NULL, NULL}};

int main(int argc, char **argv)
{
    const struct ws_conf_section *sections[MAX_SECTIONS + 1] = {&ws_top_section, &ws_crawl_section};
    const struct ws_program program = {.name = "crawl", .sections = sections, .listings = listings};
    sections[2 + ws_source_sections(sections + 2, MAX_SECTIONS - 2)] = NULL;
    char libraries[512];
    ws_crawl_libraries(libraries, sizeof libraries);
    return ws_cli_main(&program, libraries, commands, argc, argv);
}
