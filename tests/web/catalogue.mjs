// What the packages hold: drawings with a name, a licence and a class told by the name.

import fs from 'node:fs';
import path from 'node:path';
import { hash32, shuffled } from './chance.mjs';
import { CLASSES, classOf, senseOf } from './classes.mjs';

/**
 * A drawing: { key, package, name, licence: { name, url }, artist, index, kind, svg | file, mono }.
 * kind is class (index tells which), wrong (a word of class `index` in another sense), sense (the engine's mistake for
 * class `index`) or off. svg is the text of a drawing, file the path of one; mono drawings take a colour from the page.
 */
function drawing(fields) {
    const told = classOf(fields.name);
    const sense = told ? -1 : senseOf(fields.name);
    const kind = told ? (told.wrong ? 'wrong' : 'class') : sense >= 0 ? 'sense' : 'off';
    return { mono: false, artist: '', ...fields, kind, index: told ? told.index : sense };
}

function walk(folder, ends) {
    const found = [];
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
        const full = path.join(folder, entry.name);
        if (entry.isDirectory()) found.push(...walk(full, ends));
        else if (entry.isFile() && ends.some((end) => entry.name.endsWith(end))) found.push(full);
    }
    return found.sort();
}

// ---- iconify: 360,000 drawings in one JSON file a set ----

const N_ICONIFY = 360000;

function iconSvg(set, icon) {
    const width = icon.width ?? set.width ?? 16;
    const height = icon.height ?? set.height ?? 16;
    const box = `${icon.left ?? set.left ?? 0} ${icon.top ?? set.top ?? 0} ${width} ${height}`;
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ' +
        `width="${width}" height="${height}" viewBox="${box}">${icon.body}</svg>`
    );
}

// Sets of company marks: a "boot" or a "polo" in them is never clothing.
const BRAND_SETS = new RegExp(
    '^(logos|simple-icons|thesvg|(file|vscode|skill)-icons|material-icon-theme|devicon|token|cryptocurrency|' +
        'arcticons|selfhst|cib|catppuccin)',
);

/** All clothes, and about `nRandom` of the rest. */
function iconify(folder, nRandom) {
    const collections = JSON.parse(fs.readFileSync(path.join(folder, 'collections.json'), 'utf8'));
    const found = [];
    for (const file of fs.readdirSync(path.join(folder, 'json')).sort()) {
        const set = JSON.parse(fs.readFileSync(path.join(folder, 'json', file), 'utf8'));
        const about = collections[set.prefix];
        if (!about) continue; // withdrawn sets have no licence on record
        const brand = BRAND_SETS.test(set.prefix);
        for (const [name, icon] of Object.entries(set.icons)) {
            const key = `iconify/${set.prefix}:${name}`;
            const random = hash32(key) / 2 ** 32 < nRandom / N_ICONIFY;
            const one = drawing({ key, package: '@iconify/json', name });
            if (one.kind === 'off' && !random) continue;
            if (one.kind === 'class' && brand) one.kind = 'wrong';
            one.svg = iconSvg(set, icon);
            one.mono = one.svg.includes('currentColor');
            one.set = set.prefix;
            one.licence = { name: about.license.title, url: about.license.url ?? '' };
            one.artist = about.author.name;
            found.push(one);
        }
    }
    return found;
}

// ---- clip art, stamps, emoji ----

const MAX_SVG_BYTES = 40000;

function openclipart(folder) {
    const found = [];
    for (const file of walk(folder, ['.svg'])) {
        const size = fs.statSync(file).size;
        if (size < 400 || size > MAX_SVG_BYTES) continue;
        const name = path.basename(file, '.svg').replace(/_+/g, '-').replace(/-$/, '');
        found.push(
            drawing({
                key: `openclipart/${path.relative(folder, file)}`,
                package: 'openclipart-svg',
                name,
                file,
                licence: { name: 'Public domain', url: '' },
                artist: 'Open Clip Art Library',
            }),
        );
    }
    return found;
}

function tuxpaint(folder) {
    return walk(folder, ['.png', '.svg'])
        .filter((file) => !file.includes('/alphabets/'))
        .map((file) =>
            drawing({
                key: `tuxpaint/${path.relative(folder, file)}`,
                package: 'tuxpaint-stamps-default',
                name: path
                    .basename(file)
                    .replace(/\.(png|svg)$/, '')
                    .replace(/_/g, '-'),
                file,
                licence: { name: 'GPL-2.0', url: 'https://www.gnu.org/licenses/old-licenses/gpl-2.0.html' },
                artist: 'Tux Paint team',
            }),
        );
}

function emojiPng(folder, vendor, licence) {
    const list = JSON.parse(fs.readFileSync(path.join(folder, 'emoji.json'), 'utf8'));
    return list
        .filter((emoji) => emoji[`has_img_${vendor}`])
        .map((emoji) =>
            drawing({
                key: `emoji-${vendor}/${emoji.image}`,
                package: `emoji-datasource-${vendor}`,
                name: emojiName(emoji.unified, (emoji.name ?? emoji.short_name).toLowerCase()),
                file: path.join(folder, 'img', vendor, '64', emoji.image),
                licence,
                artist: vendor === 'google' ? 'Google' : 'Twitter',
            }),
        );
}

// "woman's clothes" is drawn as a blouse by every vendor.
function emojiName(code, name) {
    return code.toUpperCase() === '1F45A' ? 'womans blouse' : name;
}

const CC_BY_SA = { name: 'CC BY-SA 4.0', url: 'https://creativecommons.org/licenses/by-sa/4.0/' };

function openmoji(folder) {
    const list = JSON.parse(fs.readFileSync(path.join(folder, 'data/openmoji.json'), 'utf8'));
    const found = [];
    for (const emoji of list.filter((e) => !e.skintone && e.group !== 'flags')) {
        for (const style of ['color', 'black']) {
            const file = path.join(folder, style, 'svg', `${emoji.hexcode}.svg`);
            if (!fs.existsSync(file)) continue;
            found.push(
                drawing({
                    key: `openmoji/${style}/${emoji.hexcode}`,
                    package: 'openmoji',
                    name: emojiName(emoji.hexcode, emoji.annotation),
                    file,
                    licence: CC_BY_SA,
                    artist: emoji.openmoji_author,
                }),
            );
        }
    }
    return found;
}

function fluent(folder, openmojiFolder) {
    const names = new Map();
    for (const emoji of JSON.parse(fs.readFileSync(path.join(openmojiFolder, 'data/openmoji.json'), 'utf8'))) {
        if (!emoji.skintone) names.set(emoji.hexcode.toLowerCase(), emojiName(emoji.hexcode, emoji.annotation));
    }
    return walk(path.join(folder, 'assets'), ['.webp'])
        .map((file) => [file, names.get(path.basename(file, '.webp'))])
        .filter(([, name]) => name)
        .map(([file, name]) =>
            drawing({
                key: `fluent/${path.basename(file)}`,
                package: '@lobehub/fluent-emoji-3d',
                name,
                file,
                licence: { name: 'MIT', url: 'https://opensource.org/license/mit' },
                artist: 'Microsoft',
            }),
        );
}

// No emoji shows a pullover: the small web, made of emoji alone, has these of our own.
function ownPullovers() {
    const shapes = [
        'M22 14 L38 8 Q50 18 62 8 L78 14 L92 60 L80 66 L72 40 V90 H28 V40 L20 66 L8 60 Z',
        'M26 12 L40 9 Q50 14 60 9 L74 12 L90 72 L78 76 L70 44 V84 H30 V44 L22 76 L10 72 Z',
        'M24 16 Q38 4 50 12 Q62 4 76 16 L88 64 L77 68 L71 42 V88 H29 V42 L23 68 L12 64 Z',
    ];
    return shapes.map((shape, i) =>
        drawing({
            key: `own/pullover-${i}`,
            package: 'webstill',
            name: `knitted pullover ${i + 1}`,
            mono: true,
            svg:
                '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100" viewBox="0 0 100 100">' +
                `<path fill="currentColor" d="${shape}"/>` +
                '<path fill="none" stroke="#fff" stroke-width="2" d="M30 80 H70"/></svg>',
            licence: { name: 'CC0', url: 'https://creativecommons.org/publicdomain/zero/1.0/' },
            artist: 'webstill',
        }),
    );
}

// ---- choosing ----

function choose(all, kind, n, key) {
    return shuffled(
        all.filter((d) => d.kind === kind),
        key,
        (d) => d.key,
    ).slice(0, n);
}

/** The photos of the wallpaper package, as drawings of kind photo. */
export function loadPhotos(data) {
    const folder = path.join(data, 'packages/wallpapers');
    return walk(folder, ['.jpg']).map((file) => {
        const [title, artist] = path.basename(file, '.jpg').split('_by_');
        return {
            key: `photo/${path.basename(file)}`,
            package: 'lomiri-wallpapers-16.04',
            name: title.replace(/[-_]+/g, ' ').trim(),
            file,
            artist: (artist ?? '').replace(/_/g, ' '),
            licence: CC_BY_SA,
            kind: 'photo',
            index: -1,
        };
    });
}

/**
 * Reads the packages below `data` and chooses: { classes: one list of drawings a class, wrong and sense: likewise,
 * off }. `size` says how many of each (build-web.mjs). The small web is made of two emoji packages alone.
 */
export function loadCatalogue(data, size, small) {
    const at = (name) => path.join(data, 'packages', name);
    const emoji = [...openmoji(at('openmoji')), ...fluent(at('emoji-fluent'), at('openmoji'))];
    let all;
    let off;
    if (small) {
        all = [...emoji, ...ownPullovers()];
        off = choose(emoji, 'off', size.off.emoji, 'off');
    } else {
        const google = emojiPng(at('emoji-google'), 'google', {
            name: 'Apache 2.0',
            url: 'https://www.apache.org/licenses/LICENSE-2.0',
        });
        const twitter = emojiPng(at('emoji-twitter'), 'twitter', {
            name: 'CC BY 4.0',
            url: 'https://creativecommons.org/licenses/by/4.0/',
        });
        const icons = iconify(at('iconify'), size.randomIcons);
        const clips = openclipart(at('openclipart'));
        const stamps = tuxpaint(at('tuxpaint'));
        all = [...emoji, ...google, ...twitter, ...icons, ...clips, ...stamps];
        off = [
            ...choose(icons, 'off', size.off.icons, 'off'),
            ...choose(clips, 'off', size.off.clips, 'off'),
            ...choose(stamps, 'off', size.off.stamps, 'off'),
            ...choose(google, 'off', size.off.google, 'off'),
            ...choose(twitter, 'off', size.off.twitter, 'off'),
            ...choose(emoji, 'off', size.off.emoji, 'off'),
        ];
    }
    const perClass = (kind, n) =>
        CLASSES.map((entry, index) =>
            choose(
                all.filter((d) => d.index === index),
                kind,
                n,
                entry.slug,
            ),
        );
    return {
        classes: perClass('class', size.drawings),
        wrong: perClass('wrong', size.wrong),
        sense: perClass('sense', size.sense),
        off,
    };
}
