// Build the miniature web "web symbols" from packages: pictures of the characters that detypify's network tells apart,
// as pens draw and as printers print them, among other characters and icons; and a labelled set in other fonts.
//
// usage: node tests/web/symbols/build.mjs [--small] [--out DIR] [--data DIR] [--render PROGRAM] [--glyph PROGRAM]
//
//   --small   some 600 pictures in two fonts, for the end-to-end test
//   --out     default build/web-symbols or build/web-symbols-small
//   --data    the unpacked packages (tests/web/fetch-data.sh --symbols); default build/data
//   --render  the renderer of icons (tests/web/render.c), default build/release/tests/web/render
//   --glyph   the renderer of characters (tests/web/symbols/glyph.c), default build/release/tests/web/symbols/glyph
//
// DIR/held-out/CLASS/FONT.png is the labelled set: fonts that the web has not, for `eval` alone; it is not served.
// Cached and atomic as build-web.mjs is. Exit codes: 0 complete, 1 failed, 2 usage.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chance, shuffled } from '../chance.mjs';
import { fill, Studio } from '../pictures.mjs';
import { writeSearch } from '../search.mjs';
import { escapeXml, Site } from '../site.mjs';
import { isCurrent, replaceTree, stampOf } from '../tree.mjs';
import { codeIn, loadFonts, loadSymbols } from './classes.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../../..');

const SEARCH = 'search.symbols.test';
const FILES = 'files.symbols.test';
const SPECIMENS = 'specimens.symbols.test';
const ICONS = 'icons.symbols.test';
const HOSTS = {
    [SEARCH]: '127.0.87.11',
    [FILES]: '127.0.87.12',
    [SPECIMENS]: '127.0.87.13',
    [ICONS]: '127.0.87.14',
};

/** share: of a font's symbols that are drawn; others: characters beside the symbols; printed: share of both. */
const SIZES = {
    full: { port: 8191, fonts: /./, heldOut: /./, share: 0.72, others: 1500, icons: 1000, perPage: 60, limit: 50 },
    small: {
        port: 8192,
        fonts: /^(STIX-Regular|DejaVuSans)$/,
        heldOut: /^Symbola/,
        share: 0.6,
        others: 60,
        icons: 30,
        perPage: 20,
        limit: 10,
    },
};
const PRINTED = 0.2;
const SEARCHED = 0.8;
/** Line widths in thousandths of a picture's side: detypify's own is 8 of 224 pixels. */
const PENS = [32, 34, 36, 36, 36, 38, 40];
const OWN_PEN = { side: 224, style: 36, margin: 45 };
const SIDES = [96, 112, 128, 160, 192, 224, 224, 224];
const INKS = ['#000000', '#000000', '#000000', '#1f2d3d', '#7a1f2b', '#2456a6', '#14342b'];
const GROUNDS = ['#ffffff', '#ffffff', '#ffffff', '#fdfaf0', '#f4f4f5'];

function readArguments(argv) {
    const options = {
        size: 'full',
        data: path.join(ROOT, 'build/data'),
        render: path.join(ROOT, 'build/release/tests/web/render'),
        glyph: path.join(ROOT, 'build/release/tests/web/symbols/glyph'),
    };
    for (let i = 0; i < argv.length; i++) {
        if (argv[i] === '--small') options.size = 'small';
        else if (['--out', '--data', '--render', '--glyph'].includes(argv[i]) && argv[i + 1])
            options[argv[i].slice(2)] = path.resolve(argv[++i]);
        else {
            process.stderr.write(
                'usage: node tests/web/symbols/build.mjs [--small] [--out DIR] [--data DIR] [--render PROGRAM] ' +
                    '[--glyph PROGRAM]\n',
            );
            process.exit(2);
        }
    }
    options.out ??= path.join(ROOT, options.size === 'full' ? 'build/web-symbols' : 'build/web-symbols-small');
    return options;
}

// ---- drawing ----

/** How one character is shown: what glyph.c is told. */
function look(key) {
    const luck = chance(`symbol look|${key}`);
    const printed = luck.maybe(PRINTED);
    const inverted = luck.maybe(0.06);
    const [ink, ground] = [luck.pick(INKS), luck.pick(GROUNDS)];
    return {
        side: luck.pick(SIDES),
        style: printed ? 'print' : luck.pick(PENS),
        margin: 25 + luck.below(70),
        angle: luck.below(13) - 6,
        shear: luck.below(161) - 80,
        ink: inverted ? '#ffffff' : ink,
        ground: inverted ? '#000000' : ground,
    };
}

/** Collects characters to draw, then draws them all at once; who cannot be drawn gets no body. */
class Scribe {
    constructor(scratch) {
        this.scratch = scratch;
        this.jobs = [];
        this.pictures = [];
        fs.mkdirSync(scratch, { recursive: true });
    }

    order(picture, font, code, shown) {
        picture.path = path.join(this.scratch, `g${this.pictures.length}.png`);
        const { side, style, margin, angle = 0, shear = 0, ink = '#000000', ground = '#ffffff' } = shown;
        this.jobs.push([font.file, code.toString(16), picture.path, side, style, margin, angle, shear, ink, ground]);
        this.pictures.push(picture);
    }

    /** A picture of the web. */
    add(font, code, name, index) {
        const key = `${path.basename(font.file)}/${code.toString(16)}`;
        const drawing = { key, package: font.package, name: `${name}, ${font.name}`, artist: '' };
        drawing.licence = { name: font.licence, url: '' };
        const picture = { drawing, origin: index === null ? 'off-topic' : 'class', index, variant: 0 };
        this.order(picture, font, code, look(key));
        return picture;
    }

    draw(glyph) {
        const list = path.join(this.scratch, 'list');
        fs.writeFileSync(list, this.jobs.map((job) => `${job.join('\t')}\n`).join(''));
        const leftOut = fs.openSync(path.join(this.scratch, 'left-out'), 'a');
        execFileSync(glyph, [list], { stdio: ['ignore', 'ignore', leftOut] });
        for (const picture of this.pictures)
            if (fs.existsSync(picture.path)) fill(picture, fs.readFileSync(picture.path));
    }
}

/** The web's pictures of symbols: a list for each class. */
function orderSymbols(scribe, symbols, fonts, share) {
    return symbols.map((symbol, index) => {
        const able = fonts.filter((font) => codeIn(font, symbol));
        const drawn = able.filter((font) => chance(`drawn|${symbol.slug}|${font.name}`).maybe(share));
        return (drawn.length ? drawn : able.slice(0, 1)).map((font) =>
            scribe.add(font, codeIn(font, symbol), `${symbol.char} ${symbol.name}`, index),
        );
    });
}

/** Characters that are none of the symbols: letters, digits, dingbats, other scripts. */
function orderOthers(scribe, symbols, fonts, wanted) {
    const known = new Set(symbols.map((symbol) => symbol.code));
    const all = fonts.flatMap((font) => [...font.covers].map((code) => ({ font, code })));
    return shuffled(
        all.filter(({ code }) => code > 0x20 && !known.has(code)),
        'other characters',
        ({ font, code }) => `${font.name}|${code}`,
    )
        .slice(0, wanted)
        .map(({ font, code }) => scribe.add(font, code, `character ${code.toString(16)}`, null));
}

/** Line drawings of openmoji. */
function orderIcons(studio, data, wanted) {
    const folder = path.join(data, 'packages/openmoji');
    const entries = JSON.parse(fs.readFileSync(path.join(folder, 'data/openmoji.json'), 'utf8'));
    return shuffled(
        entries.filter(({ hexcode }) => fs.existsSync(path.join(folder, `black/svg/${hexcode}.svg`))),
        'icons',
        ({ hexcode }) => hexcode,
    )
        .slice(0, wanted)
        .map(({ hexcode, annotation, openmoji_author: artist }) =>
            studio.add(
                {
                    key: `openmoji/${hexcode}`,
                    package: 'openmoji',
                    name: annotation,
                    artist: artist ?? '',
                    licence: { name: 'CC BY-SA 4.0', url: 'https://creativecommons.org/licenses/by-sa/4.0/' },
                    file: path.join(folder, `black/svg/${hexcode}.svg`),
                    mono: false,
                },
                'off-topic',
            ),
        );
}

// ---- the tree ----

const pathOf = (picture) => `/${picture.sha1.slice(0, 2)}/${picture.sha1.slice(2, 10)}.${picture.end}`;

function page(title, body) {
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">' +
        `<title>${escapeXml(title)}</title></head>\n<body>\n<h1>${escapeXml(title)}</h1>\n${body}\n</body></html>\n`
    );
}

/** Pages of pictures, each linked from the host's front page. */
function writePages(site, host, title, groups, perPage) {
    const links = [];
    for (const [name, pictures] of groups)
        for (let k = 0; k * perPage < pictures.length; k++) {
            const where = `/${name.replace(/[^A-Za-z0-9]+/g, '-')}-${k + 1}.html`;
            const figures = pictures.slice(k * perPage, (k + 1) * perPage).map((picture) => {
                const place = site.place(picture, host, pathOf(picture)).replace(/^.*@PORT@/, '');
                return `<img src="${place}" alt="${escapeXml(picture.drawing.name)}">`;
            });
            site.text(host, where, page(`${name}, ${k + 1}`, figures.join('\n')));
            links.push(`<li><a href="${where}">${escapeXml(name)}, ${k + 1}</a></li>`);
        }
    site.text(host, '/index.html', page(title, `<ul>\n${links.join('\n')}\n</ul>\n<p><a href="/proofs/">Proofs</a></p>`));
    site.text(host, '/proofs/index.html', page('Proofs', '<p>Not for robots.</p>'));
    site.text(host, '/robots.txt', 'User-agent: *\nDisallow: /proofs/\nCrawl-delay: 0\n');
}

/** Four pictures in five are found by their symbol's name, the rest on specimen pages of their fonts. */
function fillSite(site, symbols, { classes, others, icons }, size) {
    const shown = new Map();
    const found = classes.map((list) => list.filter((p) => chance(`searched|${p.sha256}`).maybe(SEARCHED)));
    for (const picture of [...classes.flat(), ...others].filter((p) => !found[p.index]?.includes(p))) {
        const font = picture.drawing.name.split(', ').at(-1);
        shown.set(font, [...(shown.get(font) ?? []), picture]);
    }
    const hits = found.map((list) =>
        list.map((picture) => ({
            picture,
            title: `File:${picture.drawing.name}.${picture.end}`,
            url: site.place(picture, FILES, pathOf(picture)),
        })),
    );
    const web = { classes: symbols, host: SEARCH, strangers: 0.0003, isCased: true };
    const queries = writeSearch(site, hits, size.limit, web);
    site.text(SEARCH, '/robots.txt', 'User-agent: *\nAllow: /w/api.php\nDisallow: /w/\nCrawl-delay: 0\n');
    site.text(FILES, '/robots.txt', 'User-agent: *\nDisallow:\n');
    writePages(site, SPECIMENS, 'Specimens of fonts', shown, size.perPage);
    writePages(site, ICONS, 'Icons', [['Icons', icons]], size.perPage);
    return queries;
}

/** The labelled set: each symbol in each held-out font that has it, as detypify draws strokes. */
function orderHeldOut(scribe, symbols, fonts) {
    return symbols.flatMap((symbol) =>
        fonts
            .filter((font) => codeIn(font, symbol))
            .map((font) => {
                const picture = { name: `held-out/${symbol.name}/${font.name}.png`, symbol };
                scribe.order(picture, font, codeIn(font, symbol), OWN_PEN);
                return picture;
            }),
    );
}

function distinct(list, seen) {
    return list.filter((p) => p?.body && !seen.has(p.sha256) && seen.add(p.sha256));
}

function build(options, next, scratch, say) {
    const size = SIZES[options.size];
    const symbols = loadSymbols(options.data);
    const fonts = loadFonts(options.data, options.glyph);
    const web = fonts.web.filter((font) => size.fonts.test(font.name));
    const heldOut = fonts.heldOut.filter((font) => size.heldOut.test(font.name));
    say(`${symbols.length} symbols; ${web.length} fonts for the web, ${heldOut.length} held out`);
    const scribe = new Scribe(path.join(scratch, 'glyphs'));
    const studio = new Studio(path.join(scratch, 'icons'));
    const classes = orderSymbols(scribe, symbols, web, size.share);
    const others = orderOthers(scribe, symbols, web, size.others);
    const exam = orderHeldOut(scribe, symbols, heldOut);
    const icons = orderIcons(studio, options.data, size.icons);
    scribe.draw(options.glyph);
    studio.draw(options.render);
    const seen = new Set();
    const pictures = {
        classes: classes.map((list) => distinct(list, seen)),
        others: distinct(others, seen),
        icons: distinct(icons, seen),
    };
    say(
        `drew ${pictures.classes.flat().length} symbols, ${pictures.others.length} other characters, ` +
            `${pictures.icons.length} icons; ${exam.length} held out`,
    );
    const site = new Site(next, HOSTS);
    site.finish({ classes: fillSite(site, symbols, pictures, size), port: size.port });
    const lacking = symbols.filter((symbol) => !exam.some((picture) => picture.body && picture.symbol === symbol));
    if (lacking.length > 0) throw new Error(`no held-out font draws ${lacking.map((s) => s.name).join(', ')}`);
    for (const picture of exam) if (picture.body) site.write(picture.name, picture.body);
    return site;
}

function main() {
    const options = readArguments(process.argv.slice(2));
    const stamp = stampOf(options.size, [path.dirname(HERE), HERE]);
    if (isCurrent(options.out, stamp)) {
        process.stdout.write(`build: ${path.relative(ROOT, options.out)} is up to date\n`);
        return;
    }
    const started = Date.now();
    const say = (text) => process.stdout.write(`build: ${((Date.now() - started) / 1000).toFixed(1)} s  ${text}\n`);
    try {
        replaceTree(options.out, stamp, (next, scratch) => {
            const site = build(options, next, scratch, say);
            say(`${site.counts.pictures} pictures and ${site.counts.pages} texts in ${path.relative(ROOT, options.out)}`);
        });
    } catch (error) {
        const hint = error.code === 'ENOENT' ? ' Run tests/web/fetch-data.sh --symbols first, and make the renderers.' : '';
        process.stderr.write(`build: ${error.message}.${hint}\n`);
        process.exitCode = 1;
    }
}

main();
