// The classes of the web "web symbols": the characters that detypify's network tells apart, with Typst's names for them.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** Fonts that nothing but the evaluation sees: four families of letters, one of symbols; none is in the web. */
const HELD_OUT = /^(texgyre(bonum|pagella|schola|termes)-math|Symbola_hint)\./;
/** Fonts of neither side: their letters are the web's, their symbols those of the held-out fonts. */
const LEFT_OUT = /^(texgyredejavu-math|DejaVuMathTeXGyre)\./;

const FOLDERS = {
    'fonts-stix': 'SIL Open Font License',
    'fonts-freefont': 'GPL-3+ with font exception',
    'fonts-dejavu-core': 'Bitstream Vera and public domain',
    'fonts-dejavu-extra': 'Bitstream Vera and public domain',
    'fonts-texgyre-math': 'GUST Font License',
    'fonts-symbola': 'public domain',
};

/** Another character with the same shape, for fonts without the Hebrew alphabet. */
const SAME_SHAPE = { 0x5d0: 0x2135 };

/** In the order of the network's outputs: { name, char, code, slug, queries }. */
export function loadSymbols(data) {
    const file = path.join(data, 'packages/detypify/train/infer.json');
    return JSON.parse(fs.readFileSync(file, 'utf8')).map(({ char, names }) => ({
        name: names[0],
        char,
        code: char.codePointAt(0),
        slug: names[0],
        queries: [names[0], char],
    }));
}

function walk(folder) {
    return fs
        .readdirSync(folder, { withFileTypes: true })
        .flatMap((entry) => (entry.isDirectory() ? walk(path.join(folder, entry.name)) : path.join(folder, entry.name)))
        .filter((file) => /\.(otf|ttf)$/.test(file))
        .sort();
}

/** The fonts: { file, name, package, licence, covers: Set of code points }, those of the web and those held out. */
export function loadFonts(data, glyph) {
    const fonts = Object.entries(FOLDERS).flatMap(([folder, licence]) =>
        walk(path.join(data, 'packages', folder)).map((file) => {
            const said = execFileSync(glyph, ['--covers', file], { maxBuffer: 1 << 26 }).toString();
            const covers = new Set(said.split('\n').filter(Boolean).map((code) => parseInt(code, 16)));
            return { file, name: path.basename(file).replace(/\.[a-z]+$/, ''), package: folder, licence, covers };
        }),
    );
    const base = (font) => path.basename(font.file);
    return {
        web: fonts.filter((font) => !HELD_OUT.test(base(font)) && !LEFT_OUT.test(base(font))),
        heldOut: fonts.filter((font) => HELD_OUT.test(base(font))),
    };
}

/** The code point by which a font draws a symbol, or 0. */
export function codeIn(font, symbol) {
    const other = SAME_SHAPE[symbol.code];
    return font.covers.has(symbol.code) ? symbol.code : other && font.covers.has(other) ? other : 0;
}
