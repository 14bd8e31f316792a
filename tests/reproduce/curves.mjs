// The curves of the proof as one SVG: accuracy against the share of junk, the size of the pool and the strength of the
// shift, mean and standard deviation over the seeds.

import { deviation, mean } from './table.mjs';

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [290, 250, 40, 34, 46];
const GAP = 22;
const COLOURS = { kd: '#b5651d', kd3: '#2b7bba', 'kd3+': '#2e8b57', 'kd-clean': '#888888' };

/** A panel: what stands on its axes, and the rows of an experiment that it draws. */
const PANELS = [
    { experiment: 'junk', title: 'Share of junk in 3,500 pictures', rows: ['kd', 'kd3', 'kd3+'], field: 'accuracy' },
    { experiment: 'pool', title: 'Pictures in the pool', rows: ['kd', 'kd3', 'kd3+'], field: 'accuracy', isLog: true },
    { experiment: 'shift', title: 'Strength of the shift', rows: ['kd', 'kd3', 'kd3+', 'kd-clean'], field: 'shifted_accuracy' },
];

const escape = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;');
const round = (v) => Math.round(v * 10) / 10;
const text = (x, y, words, more = '') => `<text x="${round(x)}" y="${round(y)}" ${more}>${escape(words)}</text>`;

/** The rows' points: [{ row, points: [{ x, middle, spread }] }], in percent; rows without results are left out. */
function seriesOf(panel, results) {
    return panel.rows
        .map((row) => {
            const lines = results.filter((l) => l.experiment === panel.experiment && l.row === row);
            const xs = [...new Set(lines.map((l) => l.x))].sort((a, b) => a - b);
            const points = xs.map((x) => {
                const values = lines.filter((l) => l.x === x).map((l) => 100 * l[panel.field]);
                return { x, middle: mean(values), spread: values.length > 1 ? deviation(values) : 0 };
            });
            return { row, points };
        })
        .filter(({ points }) => points.length > 0);
}

function drawPanel(panel, series, at) {
    const points = series.flatMap((s) => s.points);
    const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
    const place = panel.isLog ? Math.log10 : (x) => x;
    const [first, last] = [place(xs[0]), place(xs.at(-1))];
    const low = Math.floor(Math.min(...points.map((p) => p.middle - p.spread)) / 5) * 5;
    const high = Math.ceil(Math.max(...points.map((p) => p.middle + p.spread)) / 5) * 5;
    const toX = (x) => at + LEFT + ((place(x) - first) / (last - first || 1)) * (WIDTH - LEFT - 12);
    const toY = (y) => HEIGHT - BOTTOM - ((y - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
    const parts = [text(at + LEFT, 18, panel.title, 'class="title"')];
    const step = high - low > 25 ? 10 : 5;
    for (let y = low; y <= high; y += step)
        parts.push(
            `<path class="grid" d="M${at + LEFT} ${round(toY(y))}H${at + WIDTH - 12}"/>`,
            text(at + LEFT - 6, toY(y) + 4, y, 'text-anchor="end"'),
        );
    for (const x of xs) parts.push(text(toX(x), HEIGHT - BOTTOM + 18, x, 'text-anchor="middle"'));
    for (const { row, points: list } of series) {
        const colour = COLOURS[row];
        for (const { x, middle, spread } of list)
            parts.push(
                `<path stroke="${colour}" d="M${round(toX(x))} ${round(toY(middle - spread))}V${round(toY(middle + spread))}"/>`,
                `<circle fill="${colour}" cx="${round(toX(x))}" cy="${round(toY(middle))}" r="3"/>`,
            );
        const line = list.map(({ x, middle }) => `${round(toX(x))} ${round(toY(middle))}`).join('L');
        parts.push(`<path class="line" stroke="${colour}" d="M${line}"/>`);
    }
    return parts.join('\n');
}

/** The whole picture, or null where no panel has results. */
export function drawCurves(results) {
    const drawn = PANELS.map((panel) => ({ panel, series: seriesOf(panel, results) })).filter(
        ({ series }) => series.length > 0,
    );
    if (drawn.length === 0) return null;
    const width = drawn.length * (WIDTH + GAP) - GAP;
    const rows = Object.keys(COLOURS).filter((row) => drawn.some(({ series }) => series.some((s) => s.row === row)));
    const legend = rows.map((row, i) => {
        const x = LEFT + i * 90;
        return `<circle fill="${COLOURS[row]}" cx="${x}" cy="${HEIGHT - 10}" r="4"/>${text(x + 9, HEIGHT - 6, row)}`;
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" role="img" aria-label="Accuracy on the clean test set in percent">
<style>
text{font:12px system-ui,sans-serif;fill:#444}.title{font-weight:600}path{fill:none;stroke-width:1.5}
.grid{stroke:#8884;stroke-width:1}.line{stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#bbb}}
</style>
${drawn.map(({ panel, series }, i) => drawPanel(panel, series, i * (WIDTH + GAP))).join('\n')}
${legend.join('\n')}
</svg>
`;
}
