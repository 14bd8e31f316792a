// From finished runs to results.jsonl and to the Markdown table.

import fs from 'node:fs';
import path from 'node:path';
import { EXPERIMENTS, MAX_COST, PARTS } from './experiments.mjs';

/** Replaces a file whole: a reader, and a kill, find the old one or the new one. */
export function replaceFile(file, text) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const next = `${file}.next.${process.pid}`;
    fs.writeFileSync(next, text);
    fs.renameSync(next, file);
}

/** The fields of a line of results.jsonl, in order. */
export const FIELDS = [
    'experiment',
    'row',
    'seed',
    'x',
    'accuracy',
    'accuracy_best',
    'agreement',
    'seconds',
    'steps',
    'selected_precision',
    'selected_recall',
    'shifted_accuracy',
    'commit',
    'config_sha256',
    'machine',
    'curve',
];

export function lineOf(fields) {
    return Object.fromEntries(FIELDS.map((field) => [field, fields[field] ?? null]));
}

export function mean(values) {
    return values.reduce((sum, v) => sum + v, 0) / values.length;
}

/** The sample's standard deviation; NaN of one value. */
export function deviation(values) {
    const middle = mean(values);
    return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
}

/** "82.31 ± 0.40", scaled; "-" without values, no ± with one. */
function spread(values, scale = 100, digits = 2) {
    const known = values.filter((v) => v !== null && Number.isFinite(v)).map((v) => v * scale);
    if (known.length === 0) return '-';
    const text = mean(known).toFixed(digits);
    return known.length === 1 ? text : `${text} ± ${deviation(known).toFixed(digits)}`;
}

/** Differences of the same seed's figures: `a` less `b`. */
function paired(a, b, field) {
    const other = new Map(b.map((line) => [line.seed, line[field]]));
    return a.filter((line) => other.has(line.seed)).map((line) => line[field] - other.get(line.seed));
}

function markdown(head, rows) {
    const line = (cells) => `| ${cells.join(' | ')} |`;
    return [line(head), line(head.map((_, i) => (i < 2 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

const linesOf = (results, experiment, row, x = null) =>
    results.filter((line) => line.experiment === experiment && line.row === row && line.x === x);
const column = (lines, field) => lines.map((line) => line[field]);

function mainTable(results, experiment, teacher) {
    const base = experiment.base ?? 'kd';
    const baseLines = linesOf(results, experiment.name, base);
    const rows = [];
    if (teacher)
        rows.push([
            '`teacher`',
            'trained once',
            spread([teacher.accuracy]),
            '-',
            '-',
            '-',
            spread([teacher.shifted]),
            ...Array(4).fill('-'),
        ]);
    for (const { row, what } of experiment.rows) {
        const lines = linesOf(results, experiment.name, row);
        if (lines.length === 0) continue;
        const gain = row === base ? [] : paired(lines, baseLines, 'accuracy');
        rows.push([
            `\`${row}\``,
            what,
            spread(column(lines, 'accuracy')),
            spread(column(lines, 'accuracy_best')),
            gain.length ? spread(gain) : '-',
            spread(column(lines, 'agreement')),
            spread(column(lines, 'shifted_accuracy')),
            spread(column(lines, 'selected_precision'), 100, 1),
            spread(column(lines, 'selected_recall'), 100, 1),
            spread(column(lines, 'seconds'), 1, 0),
            lines.length,
        ]);
    }
    const head = [
        'row',
        'what',
        'last epoch',
        'best epoch',
        `over \`${base}\``,
        'agreement',
        'shifted',
        'precision',
        'recall',
    ];
    return rows.some((cells) => cells[0] !== '`teacher`') ? markdown([...head, 'seconds', 'seeds'], rows) : '';
}

function gainsTable(results) {
    const rows = PARTS.map(({ part, with: whole, without, paper }) => [
        part,
        `\`${whole}\` over \`${without}\``,
        paper === null ? '-' : `+${paper}`,
        spread(paired(linesOf(results, 'main', whole), linesOf(results, 'main', without), 'accuracy')),
    ]).filter((cells) => cells[3] !== '-');
    return rows.length ? markdown(['part', 'rows', 'gain in the paper (CIFAR-10)', 'gain here'], rows) : '';
}

/** A line for each x, a group of columns for each row. */
function curveTable(results, experiment) {
    const names = [...new Set(experiment.rows.map(({ row }) => row))];
    const xs = [...new Set(experiment.rows.map(({ x }) => x))];
    const isSelected = (name) =>
        results.some((l) => l.experiment === experiment.name && l.row === name && l.selected_recall !== null);
    const selecting = experiment.name === 'shift' ? [] : names.filter(isSelected);
    const rows = [];
    for (const x of xs) {
        const found = (name) => linesOf(results, experiment.name, name, x);
        if (names.every((name) => found(name).length === 0)) continue;
        const field = experiment.name === 'shift' && x > 0 ? 'shifted_accuracy' : 'accuracy';
        rows.push([
            x,
            ...names.map((name) => spread(column(found(name), field))),
            ...selecting.flatMap((name) => [
                spread(column(found(name), 'selected_precision'), 100, 1),
                spread(column(found(name), 'selected_recall'), 100, 1),
            ]),
            Math.min(...names.map((name) => found(name).length).filter((n) => n > 0)),
        ]);
    }
    const head = [
        experiment.x,
        ...names.map((name) => `\`${name}\``),
        ...selecting.flatMap((name) => [`precision of \`${name}\``, `recall of \`${name}\``]),
        'seeds',
    ];
    return rows.length ? markdown(head, rows) : '';
}

const TITLES = {
    main: 'Web fashion, all rows',
    junk: 'The share of junk, pool of constant size',
    pool: 'The size of the pool',
    shift: 'The test set under random brightness and contrast',
    curation: 'Rules of curation beyond KD3, on KD3 without contrast',
    symbols: 'Web symbols',
};

/**
 * All tables as Markdown between the markers that the README has, too. `teachers`: experiment -> { accuracy, shifted }.
 */
export function writeTables(results, teachers) {
    const parts = [];
    for (const experiment of EXPERIMENTS) {
        const table = experiment.x
            ? curveTable(results, experiment)
            : mainTable(results, experiment, teachers.get(experiment.name));
        if (table) parts.push(`**${TITLES[experiment.name] ?? experiment.name}**\n\n${table}`);
        if (experiment.name === 'main' && gainsTable(results)) parts.push(gainsTable(results));
    }
    const distinct = (field) => [...new Set(results.map((line) => line[field]))].sort();
    parts.push(
        [
            'Accuracy on the clean test set in %, mean ± standard deviation over the seeds; each run opens it once.',
            'Best epoch: by agreement with the teacher on held-out web pictures.',
            "Precision and recall: of the selection, against what each picture's origin says, over all epochs.",
            `Commit ${distinct('commit').join(', ')};`,
            `${distinct('machine').join('; ')}; the configuration's hash of each run stands in \`results.jsonl\`.`,
        ].join('\n'),
    );
    return `${BEGIN}\n${parts.join('\n\n')}\n${END}\n`;
}

const BEGIN = '<!-- reproduce-kd3: begin -->';
const END = '<!-- reproduce-kd3: end -->';

/** `text` with what stands between the markers replaced by `tables`; null where it has no markers. */
export function putBetweenMarkers(text, tables) {
    const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
    return from < 0 || to < from ? null : text.slice(0, from) + tables.trimEnd() + text.slice(to + END.length);
}

/**
 * What a run of kd3 or kd3+ costs beyond its training steps: a line a run, and whether all of kd3 as released stay within
 * MAX_COST. Told, and not judged: rows without contrast, whose step costs half while the same selection weighs twice;
 * kd3+, which makes its pictures before the first step; the pools of another size, where an epoch's selection looks at
 * more pictures than its steps do. `runs` are the records of reproduce.mjs; those without both figures are left out.
 */
export function judgeCosts(runs) {
    const isJudged = ({ name }) => /^(main\/kd3|junk\/kd3-[\d.]+) seed/.test(name);
    const costs = runs
        .filter((run) => run.method.startsWith('kd3') && run.step_seconds > 0)
        .map((run) => ({ name: run.name, ratio: run.whole_seconds / run.step_seconds, ...run }));
    const lines = costs.map(
        (cost) =>
            `${cost.name}: ${cost.whole_seconds.toFixed(1)} s, of it ${cost.step_seconds.toFixed(1)} s in training ` +
            `steps: ${cost.ratio.toFixed(3)} times${isJudged(cost) && cost.ratio > MAX_COST ? `, more than ${MAX_COST}` : ''}`,
    );
    const judged = costs.filter(isJudged);
    return { lines, isWithin: judged.every(({ ratio }) => ratio <= MAX_COST), n: judged.length };
}
