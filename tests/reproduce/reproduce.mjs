// The proof: every row of experiments.mjs with every seed, a table at the end.
//
// usage: node tests/reproduce/reproduce.mjs [--table | --time]       (make reproduce-kd3 installs and builds first)
//
//   --table  write results.jsonl and table.md from the runs there are; run nothing
//   --time   say what each kd3 run cost beyond its training steps; exit 1 when one is above 1.15 times
//
// From the environment:
//   SEEDS=1,2,3    seeds of the distillation; the teacher has seed 1 in all rows
//   ONLY=main/kd3,kd,junk   these rows or experiments alone ("kd" behind "main/kd3" is main/kd)
//   JOBS=2         runs beside each other, each with one thread: results do not depend on it
//   KEEP=1         keep results of an older program or configuration, as long as the row's own keys are the same
//   OPTS='-o key=value …'   for every row
//   WORK, CONFIG, WEB_SIZE, BIN   the working directory, the main configuration, its web's size, the programs
//   README=tests/reproduce/README.md   put the table between this file's markers, too, and results.jsonl and
//                           curves.svg beside it
//
// A row's run lies in WORK/rows/EXPERIMENT/ROW[-X]/seed-N/ and ends with result.json, written last: kill this at any
// time and run it again. Its key is a digest of the row's keys, its inputs, the resolved configuration and the sources
// that training depends on. The programs are copied first, so that a build meanwhile does not mix two of them.
// Exit codes: 0 all rows done or skipped, 1 failed, 2 usage, 6 some rows failed, 11 stopped, 13 already running.

import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { link, makeBase, shareBase } from './base.mjs';
import { drawCurves } from './curves.mjs';
import { ABOUT, EXPERIMENTS, MAIN_SHIFT, SHIFTS, SMALL_WEB, WEBS } from './experiments.mjs';
import { choosePool, judgeSelection, readStoreIds, readTruth } from './pools.mjs';
import { Failure, failureOf, isStopping, runProgram, stopPrograms } from './programs.mjs';
import { judgeCosts, lineOf, putBetweenMarkers, replaceFile, writeTables } from './table.mjs';

const say = (text) => process.stdout.write(`reproduce-kd3: ${text}\n`);
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

function readSettings() {
    const whole = (key, value) => {
        if (!/^\d+$/.test(value)) throw new Failure(2, `${key}: expected whole numbers, found "${value}"`);
        return Number(value);
    };
    const env = process.env;
    const work = env.WORK || 'work/reproduce-kd3';
    return {
        work,
        out: path.join(work, 'reproduce'),
        bin: path.join(work, 'reproduce/bin'),
        builtBin: env.BIN || 'build/release/bin',
        config: env.CONFIG || 'configs/web-fashion-proof.yaml',
        webs: env.WEB_SIZE === 'small' ? { ...WEBS, proof: SMALL_WEB } : WEBS,
        seeds: (env.SEEDS || '1,2,3').split(',').map((seed) => whole('SEEDS', seed)),
        jobs: Math.max(1, whole('JOBS', env.JOBS || '2')),
        only: (env.ONLY || '').split(',').filter(Boolean),
        keep: env.KEEP === '1',
        overrides: (env.OPTS || '').split(/\s+/).filter(Boolean),
        readme: env.README || '',
        published: path.dirname(env.README || '.'),
    };
}

// ---- what there is to run ----

const nameOf = (experiment, row) => `${experiment}/${row.row}${row.x === undefined || row.same ? '' : `-${row.x}`}`;

/** The rows that ONLY asks for, as a test on (experiment, row). */
function readOnly(only) {
    if (only.length === 0) return () => true;
    let last = null;
    const wanted = only.map((item) => {
        const [left, right] = item.split('/');
        const experiment = EXPERIMENTS.find(({ name }) => name === left);
        if (right !== undefined || (experiment && !EXPERIMENTS.some((e) => e.rows.some((r) => r.row === left)))) {
            last = left;
            return { experiment: left, row: right, item };
        }
        return { experiment: last, row: left, item };
    });
    for (const { experiment, row, item } of wanted)
        if (
            !EXPERIMENTS.some(
                (e) => (!experiment || e.name === experiment) && (!row || e.rows.some((r) => r.row === row)),
            )
        )
            throw new Failure(2, `ONLY: no row or experiment "${item}"; they stand in tests/reproduce/experiments.mjs`);
    return (experiment, row) =>
        wanted.some((w) => (!w.experiment || w.experiment === experiment) && (!w.row || w.row === row));
}

/** All runs of the table, each { name, experiment, row, seed, dir }; a row that is another's run is that run. */
function listRuns(settings) {
    const isWanted = readOnly(settings.only);
    const runs = new Map();
    for (const experiment of EXPERIMENTS) {
        for (const row of experiment.rows) {
            if (!isWanted(experiment.name, row.row)) continue;
            const [name, source] = row.same ? row.same.split('/') : [experiment.name, null];
            const home = EXPERIMENTS.find((e) => e.name === name);
            const real = source ? home.rows.find((r) => r.row === source) : row;
            for (const seed of settings.seeds) {
                const id = `${nameOf(name, real)}/seed-${seed}`;
                runs.set(id, {
                    name: id.replace('/seed-', ' seed '),
                    experiment: home,
                    row: real,
                    seed,
                    dir: path.join(settings.work, 'rows', id),
                });
            }
        }
    }
    // Seed by seed: the first table is there after a third of the time.
    return [...runs.values()].sort((a, b) => a.seed - b.seed);
}

// ---- what a run depends on ----

/** The sources that a method's result depends on; other methods' files are not among them. */
function digestEngine(method) {
    const files = ['store/base/rng.c', 'store/base/hash.c'];
    const walk = (folder) => {
        for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
            const full = `${folder}/${entry.name}`;
            if (entry.isDirectory()) walk(full);
            else if (/\.[ch]$/.test(entry.name)) files.push(full);
        }
    };
    ['distill', 'curate', 'include/webstill/nn', 'include/webstill/curate'].forEach(walk);
    const own = method === 'kd3+' ? ['kd3', 'kd3_plus'] : [method];
    const isOwn = (file) => own.some((name) => file === `distill/method_${name}.c`);
    const ofKd3 = (file) => /^distill\/(kd3|refine|mix|embedding)/.test(file);
    const ofSelection = (file) => file.startsWith('curate/');
    const foreign = (file) =>
        (/^distill\/(method_|cmd_export|cmd_eval|teacher(_import)?\.)/.test(file) && !isOwn(file)) ||
        (!method.startsWith('kd3') && ofKd3(file)) ||
        (!method.startsWith('kd3') && method !== 'dfnd' && ofSelection(file));
    const hash = crypto.createHash('sha256');
    for (const file of files.filter((f) => !foreign(f)).sort()) hash.update(`${file}\n`).update(fs.readFileSync(file));
    return hash.digest('hex');
}

function readCommit() {
    const git = (...args) => spawnSync('git', args, { encoding: 'utf8' });
    const head = git('rev-parse', '--short=10', 'HEAD');
    if (head.status !== 0) return 'unknown';
    const changed = git(
        'status',
        '--porcelain',
        '--untracked-files=no',
        '--',
        'distill',
        'curate',
        'store',
        'include',
        'configs',
    );
    return head.stdout.trim() + (changed.stdout.trim() ? '-changed' : '');
}

/** The options of a run, as webstill takes them. */
function optionsOf(run, settings) {
    const list = [`distill.methods=[${run.row.method}]`, ...(run.row.options ?? [])];
    // The one look at the test set that a run has measures it under shift, too.
    if (settings.webs[run.experiment.web].shifted) list.push(`eval.shift=[${SHIFTS}]`);
    if (run.pool) list.push(`distill.pool=${run.pool}`);
    return ['--seed', String(run.seed), ...settings.overrides, ...list.flatMap((option) => ['-o', option])];
}

const configOf = (run, settings) => settings.webs[run.experiment.web].config ?? settings.config;

function webstill(settings, args) {
    return spawnSync(path.join(settings.bin, 'webstill'), args, { encoding: 'utf8', maxBuffer: 1 << 26 });
}

/** The row's keys and inputs (`row`), and with the resolved configuration and the program (`key`). */
function keyOf(run, settings) {
    const inputs = ['store', 'teacher'].map((stage) =>
        readJson(path.join(run.dir, stage, 'manifest.json')).outputs.map(({ path: p, sha256: digest }) => [p, digest]),
    );
    const pool = run.pool ? sha256(fs.readFileSync(run.pool)) : null;
    const row = sha256(JSON.stringify([run.row.method, optionsOf(run, settings), inputs, pool]));
    const sections = ['distill', 'curate', 'eval'].map((section) => {
        const said = webstill(settings, [
            'config',
            configOf(run, settings),
            ...optionsOf(run, settings),
            '--section',
            section,
        ]);
        if (said.status !== 0) throw new Failure(1, `${run.name}: ${said.stderr.trim()}`);
        return said.stdout;
    });
    return { row, key: sha256(JSON.stringify([row, sections, settings.engines.get(run.row.method)])) };
}

/** Why the program cannot make the row yet, or null. Another refusal than an unknown name is an error. */
function whyUnsupported(run, settings) {
    const args = ['distill', configOf(run, settings), '--work', run.dir, '--dry-run', ...optionsOf(run, settings)];
    const said = webstill(settings, args);
    if (said.status === 0) return null;
    const text = said.stderr.trim();
    const first = text.split('\n')[0];
    if (said.status === 2 && /unknown (method|key)/.test(text)) return first;
    throw new Failure(1, `${run.name}: ${text || said.error?.message}`);
}

// ---- running ----

/** A stage of a run; its words go to DIR/log. A run that an orphan of a killed driver still works on is waited for. */
async function stage(run, settings, name) {
    const log = path.join(run.dir, 'log');
    const args = [name, configOf(run, settings), '--work', run.dir, '--threads', settings.threads];
    for (let tries = 0; ; tries++) {
        const code = await runProgram(log, path.join(settings.bin, 'webstill'), [...args, ...optionsOf(run, settings)]);
        if (code === 0) return;
        if (code !== 13 || tries >= 1200) throw failureOf(log, name, code);
        await new Promise((resolve) => setTimeout(resolve, 1000));
    }
}

/** Strength -> accuracy. */
const shiftedOf = ({ shifted }) =>
    Object.fromEntries((shifted ?? []).map(({ strength, accuracy }) => [strength, accuracy]));

const machineName = () => `${os.cpus()[0]?.model ?? os.arch()}, ${os.cpus().length} cores`;

function collect(run, settings, keys) {
    const folder = path.join(run.dir, 'runs', run.row.method);
    const manifest = readJson(path.join(folder, 'manifest.json'));
    const last = readJson(path.join(folder, 'eval.json'));
    const best = readJson(path.join(folder, 'best-eval.json'));
    const curve = fs
        .readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('{"kind":"epoch"'))
        .map((line) => JSON.parse(line))
        .map(({ step, agreement }) => [step, agreement]);
    const teacher = readJson(path.join(run.dir, 'teacher/eval.json'));
    const shifted = shiftedOf(last);
    const selection = judgeSelection(folder, run.truth);
    return {
        ...keys,
        name: run.name,
        method: run.row.method,
        teacher: teacher.accuracy,
        teacher_shifted: shiftedOf(teacher)[MAIN_SHIFT] ?? null,
        step_seconds: manifest.facts.step_seconds ?? null,
        // Of a run that was cut short and went on, the manifest has the last part alone.
        whole_seconds: Math.max(manifest.seconds, manifest.facts.train_seconds),
        shifted,
        line: lineOf({
            experiment: run.experiment.name,
            row: run.row.row,
            seed: run.seed,
            x: run.row.x,
            accuracy: last.accuracy,
            accuracy_best: best.accuracy,
            agreement: last.agreement,
            seconds: manifest.facts.train_seconds,
            steps: manifest.facts.steps,
            selected_precision: selection.precision,
            selected_recall: selection.recall,
            shifted_accuracy: shifted[MAIN_SHIFT] ?? null,
            commit: settings.commit,
            config_sha256: manifest.config_sha256,
            machine: machineName(),
            curve,
        }),
    };
}

const recordPath = (run) => path.join(run.dir, 'result.json');

function readRecord(file) {
    try {
        return readJson(file);
    } catch {
        return null;
    }
}

/** Makes one run, or finds it made. Returns its record. */
async function make(run, settings) {
    const keys = keyOf(run, settings);
    const old = readRecord(recordPath(run));
    if (old && (old.key === keys.key || (settings.keep && old.row === keys.row))) return { record: old, isNew: false };
    // What another program or configuration left may be a checkpoint: it must not be continued by this one.
    const mark = path.join(run.dir, 'key');
    if (!fs.existsSync(mark) || fs.readFileSync(mark, 'utf8') !== keys.key) {
        // Not all of runs/: beside the run lie links to what runs share.
        for (const name of [`runs/${run.row.method}`, 'eval', 'result.json', 'log'])
            fs.rmSync(path.join(run.dir, name), { recursive: true, force: true });
        replaceFile(mark, keys.key);
    }
    await stage(run, settings, 'distill');
    await stage(run, settings, 'eval');
    const record = collect(run, settings, keys);
    replaceFile(recordPath(run), `${JSON.stringify(record, null, 1)}\n`);
    return { record, isNew: true };
}

/** "1:02:03" */
function clock(seconds) {
    const s = Math.round(seconds);
    const two = (n) => String(n).padStart(2, '0');
    return s >= 3600
        ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
        : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** What is left, from what runs of the same method, or of any, took. */
function estimate(left, took, jobs) {
    const all = [...took.values()].flat();
    if (all.length === 0) return '';
    const average = (list) => list.reduce((sum, s) => sum + s, 0) / list.length;
    const seconds = left.map((run) => average(took.get(run.row.method) ?? all)).reduce((sum, s) => sum + s, 0) / jobs;
    return `; about ${clock(seconds)} left`;
}

async function runAll(runs, settings) {
    const took = new Map();
    const waiting = [...runs];
    const busy = new Set();
    const failed = [];
    let nDone = 0;
    const worker = async () => {
        while (waiting.length > 0 && !isStopping()) {
            const run = waiting.shift();
            const begun = Date.now();
            busy.add(run);
            try {
                const { record, isNew } = await make(run, settings);
                const seconds = (Date.now() - begun) / 1000;
                if (isNew) took.set(run.row.method, [...(took.get(run.row.method) ?? []), seconds]);
                busy.delete(run);
                nDone++;
                const { accuracy, accuracy_best: best } = record.line;
                const percent = (share) => `${(100 * share).toFixed(2)} %`;
                const left = estimate([...waiting, ...busy], took, settings.jobs);
                say(
                    `[${nDone}/${runs.length}] ${run.name}: ${percent(accuracy)}, best epoch ${percent(best)}, ` +
                        `${isNew ? clock(seconds) : 'already there'}${left}`,
                );
                if (isNew) writeResults(settings);
            } catch (error) {
                busy.delete(run);
                if (error.exitCode === 11) return;
                nDone++;
                failed.push(run);
                say(`[${nDone}/${runs.length}] ${run.name}: FAILED: ${error.message}`);
            }
        }
    };
    await Promise.all(Array.from({ length: settings.jobs }, worker));
    if (isStopping()) throw new Failure(11, 'stopped; the same command goes on');
    return failed;
}

// ---- results ----

/** All records that lie below WORK/rows for rows that the table still has. */
function readRecords(settings) {
    const records = [];
    for (const experiment of EXPERIMENTS)
        for (const row of experiment.rows.filter((r) => !r.same)) {
            const folder = path.join(settings.work, 'rows', nameOf(experiment.name, row));
            const seeds = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
            for (const seed of seeds.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))) {
                const record = readRecord(path.join(folder, seed, 'result.json'));
                if (record) records.push(record);
            }
        }
    return records;
}

/** results.jsonl, table.md and curves.svg, whole, from every record there is; with README the same for the readers. */
function writeResults(settings) {
    const records = readRecords(settings);
    const lines = records.map(({ line }) => line);
    for (const experiment of EXPERIMENTS)
        for (const { row, x, same } of experiment.rows.filter((r) => r.same))
            for (const { line, shifted } of records.filter(({ line: l }) => same === `${l.experiment}/${l.row}`)) {
                const at = { ...line, experiment: experiment.name, row };
                const accuracy = x ? shifted[x] : line.accuracy;
                if (x === undefined) lines.push(lineOf(at));
                else if (accuracy !== undefined) lines.push(lineOf({ ...at, x, shifted_accuracy: accuracy }));
            }
    const told = ABOUT.filter(({ about }) => lines.some(({ experiment }) => experiment === about));
    const text = [...told, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
    replaceFile(path.join(settings.out, 'results.jsonl'), text);
    if (lines.length === 0) return { records, lines };
    const teachers = new Map(
        records.map((r) => [r.line.experiment, { accuracy: r.teacher, shifted: r.teacher_shifted }]),
    );
    const tables = writeTables(lines, teachers);
    replaceFile(path.join(settings.out, 'table.md'), tables);
    const curves = drawCurves(lines);
    if (curves) replaceFile(path.join(settings.out, 'curves.svg'), curves);
    if (settings.readme) {
        const text = putBetweenMarkers(fs.readFileSync(settings.readme, 'utf8'), tables);
        if (text === null) throw new Failure(2, `${settings.readme} has no markers for the table`);
        replaceFile(settings.readme, text);
        for (const name of ['results.jsonl', 'curves.svg'].filter((n) => fs.existsSync(path.join(settings.out, n))))
            replaceFile(path.join(settings.published, name), fs.readFileSync(path.join(settings.out, name)));
    }
    return { records, lines };
}

/** The report of the main configuration: its runs are those of seed 1, and it shows the table. */
function writeReport(settings) {
    const methods = [];
    for (const { row, method } of EXPERIMENTS[0].rows) {
        const run = path.join(settings.work, 'rows', `main/${row}/seed-1`);
        if (row !== method || !fs.existsSync(path.join(run, 'result.json'))) continue;
        link(path.join(run, 'runs', method), path.join(settings.work, 'runs', method));
        fs.copyFileSync(path.join(run, 'teacher/eval.json'), path.join(settings.work, 'teacher/eval.json'));
        methods.unshift(method); // the table's last ones are ours: the page leads with the first
    }
    if (methods.length === 0) return;
    link(path.join(settings.work, 'refined-seed-1'), path.join(settings.work, 'runs/refined'));
    const results = ['-o', `report.results=${path.join(settings.out, 'results.jsonl')}`];
    const args = [
        'report',
        settings.config,
        '--work',
        settings.work,
        ...settings.overrides,
        '-o',
        `distill.methods=[${methods}]`,
    ];
    let said = webstill(settings, [...args, ...results]);
    if (said.status === 2) said = webstill(settings, args); // a program whose report knows no table
    if (said.status !== 0) throw new Failure(1, `report: ${said.stderr.trim()}`);
    say(`the report is ${path.join(settings.work, 'report/index.html')}`);
}

// ---- the whole ----

/** One driver a working directory; a lock whose process is gone is taken over. */
function takeLock(settings) {
    const file = path.join(settings.out, 'lock');
    fs.mkdirSync(settings.out, { recursive: true });
    const holder = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
    const isAlive =
        holder &&
        fs.existsSync(`/proc/${holder}/cmdline`) &&
        fs.readFileSync(`/proc/${holder}/cmdline`, 'utf8').includes('reproduce.mjs');
    if (isAlive && holder !== String(process.pid))
        throw new Failure(13, `${file} is held by pid ${holder}: wait for it, or stop it`);
    replaceFile(file, `${process.pid}\n`);
    process.on('exit', () => fs.rmSync(file, { force: true }));
}

/** The programs as they are now; those that run from an older copy keep it. */
function copyPrograms(settings) {
    fs.mkdirSync(settings.bin, { recursive: true });
    for (const name of fs.readdirSync(settings.builtBin)) {
        const next = path.join(settings.bin, `.${name}.next`);
        fs.copyFileSync(path.join(settings.builtBin, name), next);
        fs.renameSync(next, path.join(settings.bin, name));
    }
}

/** Webs, stores and the teacher of the wanted runs; fills in each run's base, truth and pool. */
async function prepare(runs, settings) {
    const about = {
        bin: settings.bin,
        overrides: settings.overrides,
        threads: ['--threads', '0'],
        say,
        log: path.join(settings.out, 'base.log'),
    };
    const bases = new Map();
    const wanted = new Set(runs.map(({ experiment }) => experiment.web));
    for (const name of [...wanted]) wanted.add(settings.webs[name].teacherOf ?? name);
    for (const [name, web] of Object.entries(settings.webs).filter(([n]) => wanted.has(n))) {
        const work = path.join(settings.work, web.work);
        const teacherOf = web.teacherOf && path.join(settings.work, settings.webs[web.teacherOf].work);
        await makeBase(about, web, web.config ?? settings.config, work, teacherOf);
        bases.set(name, { work, truth: readTruth(web.tree), ids: readStoreIds(work) });
    }
    for (const run of runs) {
        const base = bases.get(run.experiment.web);
        shareBase(base.work, run.dir, run.seed, !run.row.pool);
        run.truth = base.truth;
        if (!run.row.pool) continue;
        run.pool = path.join(settings.out, 'pools', `${nameOf(run.experiment.name, run.row).replace('/', '-')}.txt`);
        replaceFile(
            run.pool,
            choosePool(run.row.pool, base.ids, base.truth)
                .map((id) => `${id}\n`)
                .join(''),
        );
    }
}

/** Leaves out, with a line, what the program does not know yet. */
function keepSupported(runs, settings) {
    const why = new Map();
    return runs.filter((run) => {
        const name = nameOf(run.experiment.name, run.row);
        if (!why.has(name)) {
            why.set(name, whyUnsupported(run, settings));
            if (why.get(name)) say(`${name}: skipped: ${why.get(name)}`);
        }
        return !why.get(name);
    });
}

function tellCosts(settings) {
    const { lines, isWithin, n } = judgeCosts(readRecords(settings));
    lines.forEach(say);
    if (n === 0) throw new Failure(1, 'no run of kd3 tells what its steps took: make reproduce-kd3 first');
    if (!isWithin) throw new Failure(1, 'a run cost more than its training steps allow');
}

async function main() {
    const [mode] = process.argv.slice(2);
    if (mode && !['--table', '--time'].includes(mode)) throw new Failure(2, 'usage: reproduce.mjs [--table | --time]');
    const settings = { ...readSettings(), engines: new Map(), commit: readCommit(), threads: '1' };
    if (mode === '--time') return tellCosts(settings);
    if (mode === '--table') return say(`${writeResults(settings).lines.length} lines in ${settings.out}/results.jsonl`);
    takeLock(settings);
    copyPrograms(settings);
    const methods = new Set(EXPERIMENTS.flatMap(({ rows }) => rows.map(({ method }) => method)));
    for (const method of methods) settings.engines.set(method, digestEngine(method)); // those of the copies
    process.on('SIGINT', stopPrograms);
    process.on('SIGTERM', stopPrograms);
    const begun = Date.now();
    const listed = listRuns(settings);
    await prepare(listed, settings);
    const runs = keepSupported(listed, settings);
    say(`${runs.length} runs, ${settings.jobs} beside each other, seeds ${settings.seeds}, commit ${settings.commit}`);
    const failed = await runAll(runs, settings);
    const { records, lines } = writeResults(settings);
    writeReport(settings);
    judgeCosts(records).lines.forEach(say);
    say(
        `${lines.length} lines in ${settings.out}/results.jsonl, the table in ${settings.out}/table.md, ` +
            `${clock((Date.now() - begun) / 1000)}`,
    );
    if (failed.length > 0)
        throw new Failure(6, `${failed.length} of ${runs.length} runs failed; the same command tries them again`);
}

main().catch((error) => {
    process.stderr.write(`reproduce-kd3: ${error.exitCode ? error.message : error.stack}\n`);
    process.exitCode = error.exitCode ?? 1;
});
