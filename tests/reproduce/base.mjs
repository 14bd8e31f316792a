// What all rows share: the web, crawled and stored once, the teacher, trained once with seed 1, and its scores.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { failureOf, runProgram } from './programs.mjs';

async function must(log, command, args) {
    const code = await runProgram(log, command, args);
    if (code !== 0) throw failureOf(log, [command, ...args].join(' '), code);
}

/** Fetches the pictures of the web `size` into `work`, unless that has been done; the web stays in build/. */
async function crawl({ bin, config, overrides, say, log }, size, web, work) {
    const truth = path.join(web, 'truth.jsonl');
    if (fs.existsSync(path.join(work, 'crawl/manifest.json')) && fs.existsSync(truth)) return;
    say(`web ${size}: building it from packages`);
    await must(log, 'tests/web/fetch-data.sh', size === 'small' ? ['--small'] : []);
    await must(log, 'node', ['tests/web/build-web.mjs', '--size', size, '--out', web]);
    say(`web ${size}: crawling it`);
    await must(log, 'tests/web/serve.sh', ['start', web, work]);
    try {
        await must(log, path.join(bin, 'webstill'), ['crawl', config, '--work', work, ...overrides]);
    } finally {
        spawnSync('tests/web/serve.sh', ['stop', web, work]); // also where all else is stopped
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

/** A row's own view of what it shares: the folder of the teacher is its own, as eval writes into it. */
export function shareBase(base, row, seed) {
    const refined = path.join(base, `refined-seed-${seed}`); // kd3+'s, a function of pool and seed
    fs.mkdirSync(refined, { recursive: true });
    link(refined, path.join(row, 'runs/refined'));
    link(path.join(base, 'store'), path.join(row, 'store'));
    for (const name of ['manifest.json', 'teacher.safetensors'])
        link(path.join(base, 'teacher', name), path.join(row, 'teacher', name));
}

/**
 * Makes store, teacher and teacher's scores in `work`, as far as they are missing or stale. `teacherOf` is another
 * working directory whose teacher is taken; without it one is trained. `about`: { bin, config, overrides, threads, say,
 * log }.
 */
export async function makeBase(about, size, web, work, teacherOf) {
    const { bin, config, overrides, threads, say, log } = about;
    const stage = async (name) => {
        say(`web ${size}: ${name}`);
        await must(log, path.join(bin, 'webstill'), [name, config, '--work', work, ...threads, ...overrides]);
    };
    fs.mkdirSync(work, { recursive: true });
    await crawl(about, size, web, work);
    await stage('store');
    if (teacherOf)
        for (const name of ['manifest.json', 'teacher.safetensors'])
            link(path.join(teacherOf, 'teacher', name), path.join(work, 'teacher', name));
    else await stage('teacher');
    await stage('score');
}
