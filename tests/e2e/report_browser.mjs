// Opens a report in headless Chromium and holds what a reader sees against the files that it was made of.
//
// usage: node tests/e2e/report_browser.mjs WORK SCRATCH [RESULTS] [BROWSER]
//        a line "ok - claim" or "not ok - claim" for each check; exit code 1 when one does not hold
//
// Means, deviations, counts and thresholds are worked out here anew, from the same files, as a stranger would.
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import {resolve} from 'node:path';
import {startBrowser} from './browser.mjs';

const [work, scratch, resultsFile, program] = process.argv.slice(2);
const file = (name) => `${work}/${name}`;
const readJson = (name) => JSON.parse(fs.readFileSync(file(name), 'utf8'));
const readLines = (name) => fs.readFileSync(name, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const percent = (share, decimals = 2) => (share == null ? '–' : (100 * share).toFixed(decimals));
const digits = (text) => Number(text.replace(/[^0-9.-]/g, ''));

// A safetensors file as { metadata, arrays by name }, whole numbers and floats as plain arrays.
function readTensors(name) {
  const bytes = fs.readFileSync(name);
  const head = Number(bytes.readBigUInt64LE(0));
  const {__metadata__: metadata, ...entries} = JSON.parse(bytes.subarray(8, 8 + head).toString());
  const types = {U8: Uint8Array, F32: Float32Array, F64: Float64Array, I32: Int32Array, I64: BigInt64Array};
  const arrays = {};
  for (const [key, {dtype, data_offsets: [from, to]}] of Object.entries(entries)) {
    const part = bytes.subarray(8 + head + from, 8 + head + to);
    if (types[dtype]) arrays[key] = [...new types[dtype](part.buffer.slice(part.byteOffset, part.byteOffset + part.length))].map(Number);
  }
  return {metadata, ...arrays};
}

// What stands in a table: { heads, rows: [{ name, cells }] }. Runs in the page.
const tableOf = (selector) => {
  const table = document.querySelector(selector);
  const text = (cell) => cell.innerText.replace(/\s+/g, ' ').trim();
  return table && {
    heads: [...table.querySelectorAll('thead th')].map(text),
    rows: [...table.querySelectorAll('tbody tr')].map((row) => ({name: text(row.cells[0]), cells: [...row.cells].map(text)})),
  };
};
const openAll = () => document.querySelectorAll('details').forEach((d) => (d.open = true));

let n_failed = 0;
async function check(claim, body) {
  let problems;
  try {
    problems = [];
    await body((condition, text) => condition || problems.push(text));
  } catch (error) {
    problems = [error.stack];
  }
  console.log(`${problems.length ? 'not ok' : 'ok'} - ${claim}`);
  for (const problem of problems.slice(0, 8)) console.log(`# ${problem}`);
  n_failed += problems.length ? 1 : 0;
}

/* --- what the files say ------------------------------------------------------------------------------------------- */

const runs = fs.readdirSync(file('runs'), {withFileTypes: true}).filter((e) => e.isDirectory()).map((e) => e.name);
const selecting = runs.find((run) => fs.existsSync(file(`runs/${run}/selection`)));
const selectionNames = selecting ? fs.readdirSync(file(`runs/${selecting}/selection`)).filter((n) => n.endsWith('.safetensors')).sort() : [];
const selections = selectionNames.map((name) => readTensors(file(`runs/${selecting}/selection/${name}`)));
const classes = Object.keys(readJson('crawl/manifest.json').facts.images_per_class);

// { decoded, distinct } by class, from the store's own table.
function countOrigins() {
  const lines = execFileSync('mdb_dump', ['-s', 'origins', file('store')], {encoding: 'latin1', maxBuffer: 1 << 30})
    .split('\n').filter((line) => line.startsWith(' '));
  const urls = new Map(classes.map((c) => [c, new Set()])), ids = new Map(classes.map((c) => [c, new Set()]));
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const id = lines[i].trim().slice(0, 32);
    const origin = JSON.parse(Buffer.from(lines[i + 1].trim(), 'hex').toString());
    urls.get(origin.class_name)?.add(origin.url);
    ids.get(origin.class_name)?.add(id);
  }
  return {urls, ids};
}

const spread = (values) => {
  const known = values.filter((v) => v != null);
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  const sd = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / (known.length - 1));
  return {n: known.length, mean, sd};
};
const shown = ({n, mean, sd}, decimals = 2) =>
  n === 0 ? '–' : n === 1 ? percent(mean, decimals) : `${percent(mean, decimals)} ± ${percent(sd, decimals)}`;

/* --- the checks --------------------------------------------------------------------------------------------------- */

async function checkFigures(page) {
  await check('each section is there, with a heading and something in it', async (expect) => {
    const sections = ['results', 'funnel', 'sheet', 'changes', 'training', 'classes', 'confusion', 'stages'];
    const found = await page.evaluate(() => [...document.querySelectorAll('section')].map((s) => ({id: s.id,
      heading: s.querySelector('h2')?.innerText, height: s.offsetHeight, missing: s.querySelectorAll('.missing').length})));
    for (const id of [...sections, ...(resultsFile ? ['seeds'] : [])]) {
      const section = found.find((s) => s.id === id);
      expect(section?.heading && section.height > 80, `section ${id}: ${JSON.stringify(section)}`);
      expect(section?.missing === 0, `section ${id} says that something is missing`);
    }
  });
  await check('the results table gives each run’s figures of eval.json', async (expect) => {
    const table = await page.evaluate(tableOf, '#results table');
    for (const run of runs) {
      const row = table.rows.find(({name}) => name === run);
      const [last, best] = ['eval.json', 'best-eval.json'].map((name) => readJson(`runs/${run}/${name}`));
      const expected = [percent(last.accuracy), percent(best.accuracy), percent(last.agreement)];
      expect(row && expected.every((text, i) => row.cells[4 + i] === text), `${run}: expected ${expected}, found ${row?.cells}`);
    }
  });
  await check('the funnel by class gives the manifest’s, the store’s and the selection’s counts', async (expect) => {
    const table = await page.evaluate(tableOf, '#class-funnel ~ .scroll table');
    const {facts} = readJson('crawl/manifest.json');
    const {urls, ids} = countOrigins();
    const last = selections.at(-1), kept = new Set(), pool = new Set();
    for (let i = 0; i < last.keep.length; i++) {
      const id = Buffer.from(last.ids.slice(16 * i, 16 * i + 16)).toString('hex');
      pool.add(id);
      if (last.keep[i]) kept.add(id);
    }
    for (const c of classes) {
      const both = (set) => [...ids.get(c)].filter((id) => set.has(id)).length;
      const expected = [facts.found_per_class[c], facts.images_per_class[c], urls.get(c).size, ids.get(c).size, both(pool), both(kept)];
      const row = table.rows.find(({name}) => name === c);
      const found = row?.cells.slice(1).map(digits);
      expect(String(found) === String(expected), `${c}: expected ${expected}, found ${found}`);
      expect(expected[0] > 0 && expected[3] > 0, `${c}: nothing found`);
    }
  });
}

async function checkSelection(page) {
  await check('thresholds and alpha over epochs are those of metrics.jsonl', async (expect) => {
    const epochs = readLines(file(`runs/${selecting}/metrics.jsonl`)).filter(({kind}) => kind === 'epoch');
    const titles = new Set(await page.evaluate(() => [...document.querySelectorAll('#training title')].map((t) => t.textContent)));
    for (const {epoch, alpha, threshold_per_class: thresholds} of epochs) {
      expect(titles.has(`${selecting}, epoch ${epoch}: ${alpha.toFixed(2)}`), `no alpha ${alpha} of epoch ${epoch}`);
      classes.forEach((c, i) => expect(titles.has(`${c}, epoch ${epoch}: ${thresholds[i].toFixed(2)}`),
        `no threshold ${thresholds[i]} of ${c} in epoch ${epoch}`));
    }
    expect(epochs.length === selections.length, `${epochs.length} epochs, ${selections.length} selections`);
  });
  await check('newly kept and newly dropped are counted as the selections say', async (expect) => {
    const text = await page.evaluate(() => document.querySelector('#changes .sheet').innerText);
    const [first, last] = [selections[0], selections.at(-1)];
    const count = (was) => first.keep.filter((keep, i) => !!keep === was && !!last.keep[i] !== was).length;
    const found = text.match(/Epoch (\d+) to (\d+)[^]*?([\d\u202f]+) newly kept[^]*?([\d\u202f]+) newly dropped/);
    const expected = [first.metadata.epoch, last.metadata.epoch, count(false), count(true)];
    expect(found && String(found.slice(1).map(digits)) === String(expected.map(Number)), `expected ${expected}, found ${found?.slice(1)}`);
  });
  await check('the contact sheets show pictures: kept, dropped, newly so, disputed', async (expect) => {
    const pictures = await page.evaluate(() => [...document.querySelectorAll('section img')].map((img) => ({
      isThere: img.complete && img.naturalWidth > 0, alt: img.alt, title: img.closest('figure').title})));
    for (const kind of ['kept: ', 'dropped: ', 'newly kept: ', 'newly dropped: ', 'disputed: '])
      expect(pictures.some(({title}) => title.startsWith(kind)), `no picture is “${kind}”`);
    for (const {isThere, alt, title} of pictures) expect(isThere && alt, `broken, or without a text: ${title}`);
  });
}

async function checkSeeds(page) {
  const latest = new Map(readLines(resultsFile).filter((r) => r.row).map((r) => [[r.experiment, r.row, r.x, r.seed].join('|'), r]));
  const results = [...latest.values()];
  const rowsOf = (experiment) => Map.groupBy
    ? Map.groupBy(results.filter((r) => r.experiment === experiment), (r) => r.row)
    : results.filter((r) => r.experiment === experiment).reduce((m, r) => m.set(r.row, [...(m.get(r.row) ?? []), r]), new Map());
  await check('the table over seeds gives mean and deviation of the results', async (expect) => {
    const table = await page.evaluate(tableOf, 'table[data-experiment=main]');
    const rows = rowsOf('main');
    expect(table.rows.length === rows.size, `expected ${rows.size} rows, found ${table.rows.length}`);
    const column = (title) => table.heads.findIndex((head) => head.startsWith(title));
    for (const [name, group] of rows) {
      const cells = table.rows.find((row) => row.name === name)?.cells ?? [];
      const columns = {'Accuracy, last': 'accuracy', 'Accuracy, best': 'accuracy_best', 'Agreement': 'agreement'};
      for (const [title, key] of Object.entries(columns)) {
        const expected = shown(spread(group.map((r) => r[key])));
        expect(cells[column(title)] === expected, `${name}, ${title}: expected ${expected}, found ${cells[column(title)]}`);
      }
      const kd = new Map((rows.get('kd') ?? []).map((r) => [r.seed, r.accuracy]));
      const gain = spread(group.filter((r) => kd.has(r.seed)).map((r) => r.accuracy - kd.get(r.seed)));
      const sign = gain.mean < 0 ? '−' : '+', expected = name === 'kd' ? '–' : sign + shown({...gain, mean: Math.abs(gain.mean)});
      expect(cells[column('Against kd,')] === expected, `${name} against kd: expected ${expected}, found ${cells[column('Against kd,')]}`);
    }
  });
  await check('what each part brings is the difference of its two rows', async (expect) => {
    const table = await page.evaluate(tableOf, 'table[data-experiment=parts]');
    const rows = rowsOf('main'), whole = new Map(rows.get('kd3').map((r) => [r.seed, r.accuracy]));
    const paper = {sharing: '+1.79', selection: '+4.99', contrast: '+0.73', weights: '–'};
    for (const [part, told] of Object.entries(paper)) {
      const gain = spread(rows.get(`kd3-no-${part}`).map((r) => whole.get(r.seed) - r.accuracy));
      const expected = ['kd3', `${gain.n}`, (gain.mean < 0 ? '−' : '+') + shown({...gain, mean: Math.abs(gain.mean)}), told];
      const found = table.rows.find(({name}) => name === part)?.cells.slice(1);
      expect(String(found) === String(expected), `${part}: expected ${expected}, found ${found}`);
    }
    const base = new Map(rows.get('kd3+').map((r) => [r.seed, r.accuracy]));
    const kl = spread(rows.get('kd3+-with-kl').map((r) => r.accuracy - base.get(r.seed)));
    const found = table.rows.find(({name}) => name === 'kl')?.cells.slice(1, 4);
    const expected = ['kd3+-with-kl', `${kl.n}`, (kl.mean < 0 ? '−' : '+') + shown({...kl, mean: Math.abs(kl.mean)})];
    expect(String(found) === String(expected), `kl: expected ${expected}, found ${found}`);
  });
  await check('the ablation of curation’s rules has a row for each', async (expect) => {
    const table = await page.evaluate(tableOf, '#seeds table[data-experiment=curation]');
    for (const [name, group] of rowsOf('curation')) {
      const cells = table?.rows.find((row) => row.name === name)?.cells ?? [], mean = shown(spread(group.map((r) => r.accuracy)));
      expect(cells.includes(mean), `${name}: expected ${mean}, found ${cells}`);
    }
  });
  await check('accuracy against junk and pool, and the curves, have their means and bands', async (expect) => {
    const titles = new Set(await page.evaluate(() => [...document.querySelectorAll('#seeds title')].map((t) => t.textContent)));
    for (const [experiment, scale, x_title] of [['junk', 100, 'junk in the pool, %'], ['pool', 1, 'images in the pool']])
      for (const [name, group] of rowsOf(experiment))
        for (const x of new Set(group.map((r) => r.x))) {
          const {mean} = spread(group.filter((r) => r.x === x).map((r) => r.accuracy));
          const title = `${name}, ${x_title} ${+(scale * x).toFixed(6)}: ${percent(mean, 1)}`;
          expect(titles.has(title), `no point “${title}”`);
        }
    const kd3 = rowsOf('main').get('kd3');
    for (const [step] of kd3[0].curve) {
      const {mean} = spread(kd3.map((r) => r.curve.find(([s]) => s === step)?.[1]));
      expect(titles.has(`kd3, step ${step}: ${percent(mean, 1)}`), `no point of kd3 at step ${step}: ${percent(mean, 1)}`);
    }
    const n_bands = await page.evaluate(() => document.querySelectorAll('#seeds path.band').length);
    expect(n_bands >= 2 * rowsOf('pool').size + 1, `only ${n_bands} bands`);
  });
  await check('every run stands there with commit, configuration and machine', async (expect) => {
    const table = await page.evaluate(tableOf, 'table[data-experiment=all]');
    expect(table.rows.length === results.length, `expected ${results.length} runs, found ${table.rows.length}`);
    const {commit, config_sha256: config, machine} = results[0];
    const cells = table.rows[0]?.cells ?? [];
    expect(cells[7]?.startsWith(commit.slice(0, 10)) && cells[8]?.startsWith(config.slice(0, 12)) && cells[9] === machine, `found ${cells}`);
  });
}

// Ratio of luminances of each text to what it stands on (WCAG 2.1, 1.4.3), where it is below 4.5. Runs in the page.
const findFaint = () => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.matches('style, title')) continue;
    const style = getComputedStyle(e), colour = parse(e.closest('svg') ? style.fill : style.color);
    let below = ground(e);
    if (e.matches('.cell')) { // stands on a shaded box
      const box = getComputedStyle(e.previousElementSibling), share = Number(box.fillOpacity);
      below = parse(box.fill).map((v, i) => share * v + (1 - share) * below[i]);
    }
    const [a, b] = [light(colour), light(below)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${e.tagName} ${e.className.baseVal ?? e.className} “${e.textContent.slice(0, 30)}”: ${ratio.toFixed(2)}`);
  }
  return faint;
};

async function checkReading(page, browser, url) {
  await check('tables have heads, figures captions and texts, links names, ids are unique', async (expect) => {
    const found = await page.evaluate(() => {
      const all = (selector) => [...document.querySelectorAll(selector)];
      const ids = all('[id]').map((e) => e.id);
      return {
        tables: all('table').filter((t) => !t.querySelector('thead th[scope=col]') || t.querySelector('thead th:not([scope]), tbody th:not([scope=row])') || [...t.tBodies[0].rows].some((r) => r.cells[0].tagName !== 'TH')).length,
        figures: all('figure.chart').filter((f) => !f.querySelector('figcaption')?.innerText).length,
        drawings: all('svg').filter((s) => s.getAttribute('role') !== 'img' || !s.getAttribute('aria-label')).length,
        links: all('a').filter((a) => !a.innerText.trim() && !a.querySelector('img[alt]:not([alt=""])')).length,
        ids: ids.length - new Set(ids).size,
        scripts: all('script, iframe, link, object, embed').length,
        lang: document.documentElement.lang, h1: all('h1').length,
      };
    });
    const expected = {tables: 0, figures: 0, drawings: 0, links: 0, ids: 0, scripts: 0, lang: 'en', h1: 1};
    expect(JSON.stringify(found) === JSON.stringify(expected), `found ${JSON.stringify(found)}`);
  });
  const dark = await browser.open(url, {dark: true});
  await check('every text stands out from its ground, in light and in dark', async (expect) => {
    await dark.evaluate(openAll);
    for (const [name, p] of [['light', page], ['dark', dark]])
      for (const text of await p.evaluate(findFaint)) expect(false, `${name}: ${text}`);
    const grounds = await Promise.all([page, dark].map((p) => p.evaluate(() => getComputedStyle(document.body).backgroundColor)));
    expect(grounds[0] !== grounds[1], `one ground for light and dark: ${grounds[0]}`);
  });
  const phone = await browser.open(url, {width: 390, height: 844});
  await check('390 pixels are wide enough: nothing is cut off, only tables and charts scroll within themselves', async (expect) => {
    await phone.evaluate(openAll);
    const {width, outside} = await phone.evaluate(() => ({width: document.documentElement.scrollWidth,
      outside: [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, .wide, pre, svg') &&
        e.getBoundingClientRect().right > 390.5).map((e) => `${e.tagName}.${e.className}`)}));
    expect(width <= 390, `the page is ${width} pixels wide`);
    expect(outside.length === 0, `beyond the edge: ${[...new Set(outside)].join(', ')}`);
  });
  await check('the console stays empty, and nothing is asked of anywhere', async (expect) => {
    for (const p of [page, dark, phone]) {
      for (const text of p.said) expect(false, text);
      for (const asked of p.requests) expect(false, `asked for ${asked}`);
    }
  });
}

const browser = await startBrowser(scratch, program || 'chromium');
try {
  const url = `file://${resolve(file('report/index.html'))}`;
  const page = await browser.open(url);
  await page.evaluate(openAll);
  await checkFigures(page);
  if (selecting) await checkSelection(page);
  if (resultsFile) await checkSeeds(page);
  await checkReading(page, browser, url);
} finally {
  await browser.close();
}
process.exit(n_failed ? 1 : 0);
