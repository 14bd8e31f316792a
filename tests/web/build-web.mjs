// Build the miniature web "web fashion" from packages: the same bytes on every machine with the same libraries.
//
// usage: node tests/web/build-web.mjs [--small | --size NAME] [--out DIR] [--data DIR] [--render PROGRAM]
//
//   --size    full (the demo's, default), small, proof (7,000 pictures) or large (54,000: more icons)
//   --small   --size small: about 450 pictures from two emoji packages, for the end-to-end test
//   --out     default build/web, build/web-small, build/web-proof or build/web-large
//   --data    the unpacked packages (tests/web/fetch-data.sh); default build/data
//   --render  the renderer (tests/web/render.c); default build/release/tests/web/render
//
// Cached: a web whose stamp (the digest of these scripts, the renderer's source and packages.lock) still holds is kept.
// Atomic: a new web is built beside the old one and takes its place by a rename.
// Exit codes: 0 complete, 1 failed, 2 usage.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCatalogue, loadPhotos } from './catalogue.mjs';
import { chance, shuffled } from './chance.mjs';
import { CLASSES } from './classes.mjs';
import { writeBlog, writeManners, writeShop } from './pages.mjs';
import { makeBroken, makeOversized, Studio } from './pictures.mjs';
import { writeSearch } from './search.mjs';
import { Site } from './site.mjs';
import { isCurrent, replaceTree, stampOf } from './tree.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../..');

/**
 * How large the webs are. perClass: drawings wanted of each class, looks of the same drawing counted; drawings, wrong,
 * sense: distinct drawings at most of each class, of a word in another sense, of the engine's mistakes; off: drawings
 * off topic, by package; randomIcons: how many of iconify's 360,000 they are chosen from.
 */
const SIZES = {
    full: {
        port: 8187,
        drawings: 400,
        wrong: 14,
        sense: 22,
        randomIcons: 2200, // some more than are served: a few cannot be drawn, some repeat
        off: { icons: 1400, clips: 800, stamps: 240, google: 130, twitter: 130, emoji: 220 },
        perClass: [150, 110, 90, 140, 120, 110, 140, 140, 200, 110],
        searchShare: 0.85,
        searchOff: 90,
        limit: 50,
        perPage: 40,
        perPost: 14,
        crops: 130,
        copies: 150,
        resized: 150,
        perManner: 10,
        blogEmoji: 40,
        slow: 6,
        slowBytes: 24000,
        slowRate: '12k',
    },
    small: {
        port: 8188,
        drawings: 400,
        wrong: 2,
        sense: 3,
        randomIcons: 0,
        off: { emoji: 60 },
        perClass: [14, 14, 12, 16, 14, 14, 14, 16, 24, 14],
        searchShare: 0.8,
        searchOff: 2,
        limit: 10,
        perPage: 6,
        perPost: 6,
        crops: 0,
        copies: 12,
        resized: 12,
        perManner: 3,
        blogEmoji: 6,
        slow: 2,
        slowBytes: 6000,
        slowRate: '2k',
    },
};
SIZES.proof = {
    ...SIZES.full,
    port: 8189,
    randomIcons: 5000,
    off: { icons: 3060, clips: 1400, stamps: 240, google: 180, twitter: 180, emoji: 220 },
    searchOff: 160,
    perPage: 80,
};
SIZES.large = {
    ...SIZES.full,
    port: 8189,
    perClass: [450, 450, 450, 450, 450, 450, 450, 450, 450, 450],
    drawings: 1000,
    wrong: 60,
    sense: 80,
    randomIcons: 52000,
    off: { icons: 40800, clips: 5200, stamps: 240, google: 900, twitter: 900, emoji: 1200 },
    searchOff: 1200,
    limit: 500,
    perPage: 250,
    crops: 300,
    copies: 300,
    resized: 500,
    blogEmoji: 400,
};

function readArguments(argv) {
    const options = {
        size: 'full',
        data: path.join(ROOT, 'build/data'),
        render: path.join(ROOT, 'build/release/tests/web/render'),
    };
    for (let i = 0; i < argv.length; i++) {
        const key = argv[i].replace(/^--/, '');
        if (argv[i] === '--small') options.size = 'small';
        else if (argv[i] === '--size' && Object.hasOwn(SIZES, argv[i + 1] ?? '')) options.size = argv[++i];
        else if (['--out', '--data', '--render'].includes(argv[i]) && argv[i + 1])
            options[key] = path.resolve(argv[++i]);
        else {
            process.stderr.write(
                `usage: node tests/web/build-web.mjs [--size ${Object.keys(SIZES).join('|')}] [--out DIR] ` +
                    '[--data DIR] [--render PROGRAM]\n',
            );
            process.exit(2);
        }
    }
    options.out ??= path.join(ROOT, options.size === 'full' ? 'build/web' : `build/web-${options.size}`);
    return options;
}

/** All pictures, drawn: { classes, wrong, off, photos, resized, emoji } lists without those that could not be drawn. */
function drawPictures(catalogue, photos, size, studio, renderer) {
    const classes = catalogue.classes.map((drawings, index) => {
        const list = [];
        for (let variant = 0; drawings.length && list.length < size.perClass[index] && variant < 8; variant++) {
            for (const drawing of drawings.slice(0, size.perClass[index] - list.length)) {
                const picture = studio.add(drawing, 'class', variant);
                if (picture) list.push(picture);
            }
        }
        return list;
    });
    const wrong = catalogue.wrong.map((drawings, i) =>
        [...drawings, ...catalogue.sense[i]].map((d) => studio.add(d, 'junk')),
    );
    const off = catalogue.off.map((d) => studio.add(d, 'off-topic'));
    const large = photos.map((photo, i) => studio.addPhoto(photo, 1200, 'none', i));
    studio.draw(renderer);

    const crops = [];
    for (let i = 0; i < size.crops; i++) {
        const luck = chance(`crop|${i}`);
        const whole = large[i % large.length];
        const part = 250 + luck.below(450);
        const crop = `${luck.below(1000 - part)} ${luck.below(1000 - part)} ${part} ${part}`;
        crops.push(studio.addPhoto(whole.drawing, 240 + luck.below(400), crop, i, whole.path));
    }
    const drawn = [...classes.flat(), ...off].filter((p) => p.body && p.end !== 'webp');
    const resized = shuffled(drawn, 'resized', (p) => p.drawing.key + p.variant)
        .slice(0, size.resized)
        .map((p, i) => studio.addResized(p, i));
    studio.draw(renderer);

    const seen = new Set(); // the same body twice would be a duplicate nobody counted
    const distinct = (list) => list.filter((p) => p.body && !seen.has(p.sha256) && seen.add(p.sha256));
    return {
        classes: classes.map(distinct),
        wrong: wrong.map(distinct),
        off: distinct(off),
        photos: distinct([...large, ...crops]),
        resized: distinct(resized),
    };
}

/** A file's title as people write them: words, sometimes odd characters, always one of its kind. */
function titleOf(picture, taken) {
    const luck = chance(`title|${picture.drawing.key}|${picture.variant ?? 0}`);
    let words = picture.drawing.name.replace(/[-_]+/g, ' ').trim();
    words = words.charAt(0).toUpperCase() + words.slice(1);
    const odd = ['été', 'Größe M', "women's", 'nº 5', '100% cotton', 'A&B'];
    if (luck.maybe(0.03)) words = `${words}, ${luck.pick(odd)}`;
    let title = `File:${words}.${picture.end}`;
    for (let n = 2; taken.has(title); n++) title = `File:${words} (${n}).${picture.end}`;
    taken.add(title);
    return title;
}

/**
 * Puts the search host's files on images.fashion.test: four in five clothes, wrong senses, some of `off` (which loses
 * them), half of `broken` (likewise), and entries whose file is gone. Returns a list of hits a class and the clothes
 * that the search does not know.
 */
function fillIndex(site, pictures, off, broken, size) {
    const taken = new Set();
    const index = (picture) => {
        const title = titleOf(picture, taken);
        const name = title.slice('File:'.length).replaceAll(' ', '_');
        const folder = `/commons/${picture.sha1[0]}/${picture.sha1.slice(0, 2)}`;
        return { picture, title, url: site.place(picture, 'images.fashion.test', `${folder}/${name}`) };
    };
    const held = CLASSES.map(() => []);
    const hits = pictures.classes.map((list, c) => {
        const indexed = [];
        for (const picture of list)
            (chance(`held|${picture.sha256}`).maybe(size.searchShare) ? indexed : held[c]).push(picture);
        return [...indexed, ...pictures.wrong[c], ...off.splice(0, size.searchOff)].map(index);
    });
    const shown = shuffled(broken, 'broken order', (p) => p.drawing.key).slice(0, Math.ceil(broken.length / 2));
    shown.forEach((picture, i) => {
        broken.splice(broken.indexOf(picture), 1);
        hits[i % hits.length].push(index(picture));
    });
    for (const list of hits.filter((_, i) => i % 2 === 0)) {
        const { picture, title, url } = list[3];
        const old = (text, mark) => text.replace(/(\.[a-z]+)$/, `${mark}$1`);
        list.push({ picture, title: old(title, ' old'), url: old(url, '_old') });
    }
    return { hits, held };
}

/** Takes from `list` what takes the slow host some seconds to give. */
function takeSlow(list, size) {
    const distance = (picture) => Math.abs(picture.body.length - size.slowBytes);
    const slow = [...list].sort((a, b) => distance(a) - distance(b)).slice(0, size.slow);
    slow.forEach((picture) => list.splice(list.indexOf(picture), 1));
    return slow;
}

/** Spreads the pictures over the hosts. Returns the classes with their queries. */
function fillSite(site, pictures, size, small) {
    const off = shuffled(pictures.off, 'off order', (p) => p.drawing.key);
    const whole = [...pictures.classes.flat(), ...off, ...pictures.photos];
    const broken = [...makeBroken(whole, small), ...makeOversized(whole)];
    const { hits, held } = fillIndex(site, pictures, off, broken, size);
    const classes = writeSearch(site, hits, size.limit);

    const take = (n) => off.splice(0, n);
    const slow = takeSlow(small ? off : pictures.photos, size);
    const [open, secret, closed] = [take(size.perManner), take(size.perManner), take(size.perManner)];
    writeManners(site, { open, secret, closed, slow }, size.slowRate);

    const healthy = hits.flat().filter((hit) => hit.picture.origin !== 'corrupt');
    const copies = shuffled(healthy, 'copies', (hit) => hit.title).slice(0, size.copies);
    for (const copy of copies) copy.moved = copy.url.replace('images.fashion.test:@PORT@', 'cdn.fashion.test:@PORT@/r');
    writeBlog(site, [...pictures.photos, ...take(size.blogEmoji)], take(6), copies, size.perPost);

    const resizedOf = new Map();
    for (const picture of pictures.resized)
        resizedOf.set(picture.of.sha256, [...(resizedOf.get(picture.of.sha256) ?? []), picture]);
    const asItem = (picture) => {
        const resized = resizedOf.get(picture.sha256) ?? [];
        resizedOf.delete(picture.sha256);
        return { picture, resized };
    };
    const shopOff = Math.floor((off.length * 0.12) / CLASSES.length);
    const items = held.map((list) => [...list, ...take(shopOff)].map(asItem));
    const rest = [...off, ...broken].map(asItem);
    // Other sizes of pictures that only the search knows: shown for their own sake.
    [...resizedOf.values()].flat().forEach((picture) => items[picture.index ?? 0].push({ picture, resized: [] }));
    writeShop(
        site,
        items.map((list, c) => shuffled(list, `shop ${c}`, (i) => i.picture.sha256)),
        shuffled(rest, 'rest', (i) => i.picture.sha256),
        size.perPage,
    );
    return classes;
}

function main() {
    const options = readArguments(process.argv.slice(2));
    const size = SIZES[options.size];
    const isSmall = options.size === 'small';
    const stamp = stampOf(options.size, [HERE]);
    if (isCurrent(options.out, stamp)) {
        process.stdout.write(`build-web: ${path.relative(ROOT, options.out)} is up to date\n`);
        return;
    }
    const started = Date.now();
    const say = (text) => process.stdout.write(`build-web: ${((Date.now() - started) / 1000).toFixed(1)} s  ${text}\n`);
    try {
        replaceTree(options.out, stamp, (next, scratch) => {
            const catalogue = loadCatalogue(options.data, size, isSmall);
            const photos = isSmall ? [] : loadPhotos(options.data);
            say('read the packages');
            const pictures = drawPictures(catalogue, photos, size, new Studio(scratch), options.render);
            say(
                `drew ${pictures.classes.flat().length} clothes, ${pictures.wrong.flat().length} wrong senses, ` +
                    `${pictures.off.length} off topic, ` +
                    `${pictures.photos.length} photos, ${pictures.resized.length} resized`,
            );
            const site = new Site(next);
            const classes = fillSite(site, pictures, size, isSmall);
            site.finish({ classes, port: size.port });
            say(
                `${site.counts.pictures} pictures (${site.truth.size} distinct, ` +
                    `${(site.counts.bytes / 1e6).toFixed(0)} MB) and ` +
                    `${site.counts.pages} texts in ${path.relative(ROOT, options.out)}`,
            );
        });
    } catch (error) {
        const hint = error.code === 'ENOENT' ? ' Run tests/web/fetch-data.sh first.' : '';
        process.stderr.write(`build-web: ${error.message}.${hint}\n`);
        if (!error.code) process.stderr.write(`${error.stack}\n`);
        process.exitCode = 1;
    }
}

main();
