// What all rows share: the web, crawled and stored once, the teacher, trained once with seed 1, and its scores.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { failureOf, runProgram } from './programs.mjs';

async function must(log, command, args) {
    const code = await runProgram(log, command, args);
    if (code !== 0) throw failureOf(log, [command, ...args].join(' '), code);
}

/** Fetches the web's pictures into `work`, unless that has been done; the web itself stays in build/. */
async function crawl({ bin, overrides, say, log }, web, config, work) {
    const truth = path.join(web.tree, 'truth.jsonl');
    if (fs.existsSync(path.join(work, 'crawl/manifest.json')) && fs.existsSync(truth)) return;
    say(`${web.tree}: building it from packages`);
    for (const [command, ...args] of web.build) await must(log, command, args);
    say(`${web.tree}: crawling it`);
    await must(log, 'tests/web/serve.sh', ['start', web.tree, work]);
    try {
        await must(log, path.join(bin, 'webstill'), ['crawl', config, '--work', work, ...overrides]);
    } finally {
        spawnSync('tests/web/serve.sh', ['stop', web.tree, work]); // also where all else is stopped
    }
}

/** A symbolic link at `at` to `target`, relative, so that the whole working directory can be moved. */
export function link(target, at) {
    fs.mkdirSync(path.dirname(at), { recursive: true });
    const to = path.relative(path.dirname(at), target);
    try {
        if (fs.readlinkSync(at) === to) return;
    } catch {
        // not there, or not a link
    }
    fs.rmSync(at, { recursive: true, force: true });
    fs.symlinkSync(to, at);
}

/**
 * A row's own view of what it shares: the folder of the teacher is its own, as eval writes into it. kd3+'s refined
 * pictures are a function of pool and seed; rows on the whole pool share them.
 */
export function shareBase(base, row, seed, isWholePool) {
    if (isWholePool) {
        const refined = path.join(base, `refined-seed-${seed}`);
        fs.mkdirSync(refined, { recursive: true });
        link(refined, path.join(row, 'runs/refined'));
    }
    link(path.join(base, 'store'), path.join(row, 'store'));
    for (const name of ['manifest.json', 'teacher.safetensors'])
        link(path.join(base, 'teacher', name), path.join(row, 'teacher', name));
}

/**
 * Makes store, teacher and teacher's scores of a web in `work`, as far as they are missing or stale. `teacherOf` is
 * another working directory whose teacher is taken; without it the configuration's is made. `about`: { bin, overrides,
 * threads, say, log }.
 */
export async function makeBase(about, web, config, work, teacherOf) {
    const { bin, overrides, threads, say, log } = about;
    const stage = async (name) => {
        say(`${web.tree}: ${name}`);
        await must(log, path.join(bin, 'webstill'), [name, config, '--work', work, ...threads, ...overrides]);
    };
    fs.mkdirSync(work, { recursive: true });
    await crawl(about, web, config, work);
    await stage('store');
    if (teacherOf)
        for (const name of ['manifest.json', 'teacher.safetensors'])
            link(path.join(teacherOf, 'teacher', name), path.join(work, 'teacher', name));
    else await stage('teacher');
    await stage('score');
}
