// From drawings to files as the web has them: real sizes, colours, grounds and formats; then copies and broken files.

import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { chance } from './chance.mjs';

const WIDTHS = [48, 64, 72, 96, 100, 120, 128, 128, 150, 160, 180, 200, 200, 224, 240, 256];
const INKS = [
    '#1f2d3d',
    '#7a1f2b',
    '#1d6f42',
    '#2456a6',
    '#8a5a2b',
    '#5b2a86',
    '#c2410c',
    '#0f766e',
    '#9d174d',
    '#4b5563',
];
const PALE_INKS = ['#f5d90a', '#ffd1dc', '#cfe8ff', '#e8e2d0', '#ffffff', '#c8f7c5'];
const PALE_GROUNDS = ['#ffffff', '#ffffff', '#ffffff', '#f4f4f5', '#fde8d0', '#e0f2fe', '#ecfccb', '#fce7f3'];
const DARK_GROUNDS = ['#111827', '#1e3a5f', '#3b0d11', '#14342b', '#000000'];

/** How one drawing is shown: { width, format, ground, ink }. `variant` 0 is its first appearance. */
function look(drawing, variant) {
    const luck = chance(`look|${drawing.key}|${variant}`);
    const formatLuck = luck.next();
    const format =
        formatLuck < 0.76
            ? 'png'
            : formatLuck < 0.87
              ? 'webp'
              : formatLuck < 0.96
                ? 'jpeg'
                : formatLuck < 0.98
                  ? 'jpeg-progressive'
                  : 'jpeg-grey';
    const pale = drawing.mono && luck.maybe(0.15);
    const ink = drawing.mono ? (luck.maybe(0.45) ? '#000000' : luck.pick(INKS)) : null;
    let ground = luck.maybe(0.5)
        ? 'none'
        : luck.maybe(0.9)
          ? luck.pick(PALE_GROUNDS)
          : drawing.mono
            ? '#ffffff'
            : luck.pick(DARK_GROUNDS);
    if (format.startsWith('jpeg') && ground === 'none') ground = '#ffffff';
    if (pale && ground !== 'none') ground = luck.pick(DARK_GROUNDS);
    return { width: luck.pick(WIDTHS), format, ground, ink: pale ? luck.pick(PALE_INKS) : ink };
}

const END_OF = { png: 'png', webp: 'webp', jpeg: 'jpg', 'jpeg-progressive': 'jpg', 'jpeg-grey': 'jpg' };

/**
 * Collects pictures, then draws them all at once. A picture is { drawing, origin, index, variant, of } and after draw()
 * also { body, sha256, sha1, mime, end, width, height }; one that cannot be drawn has no body.
 */
export class Studio {
    constructor(scratch) {
        this.scratch = scratch;
        this.jobs = [];
        this.pictures = [];
        fs.mkdirSync(scratch, { recursive: true });
    }

    /** A drawing as its package has it, where that is a bitmap; else drawn in a look of its own. */
    add(drawing, origin, variant = 0) {
        const picture = { drawing, origin, index: origin === 'class' ? drawing.index : null, variant };
        const bitmap = drawing.file && !drawing.file.endsWith('.svg');
        if (bitmap && variant === 0 && origin !== 'photo') picture.path = drawing.file;
        else if (bitmap && drawing.file.endsWith('.webp'))
            return null; // no second look: the renderer reads no WebP
        else this.order(picture, look(drawing, variant));
        this.pictures.push(picture);
        return picture;
    }

    /** A part of a photo, or all of it. `crop` is in thousandths: "x y width height". */
    addPhoto(drawing, width, crop, variant, source = drawing.file) {
        const picture = { drawing, origin: 'photo', index: null, variant };
        this.order(
            picture,
            { width, format: variant % 5 === 4 ? 'jpeg-progressive' : 'jpeg', ground: 'none', ink: null },
            crop,
            source,
        );
        this.pictures.push(picture);
        return picture;
    }

    /** Another size of a picture already added: a near-duplicate, as galleries make them. */
    addResized(original, variant) {
        const luck = chance(`resize|${original.drawing.key}|${original.variant}|${variant}`);
        const shown = original.shown ?? { width: 64, format: 'png', ground: 'none', ink: null };
        const width = Math.max(32, Math.round(shown.width * luck.pick([0.5, 0.66, 0.75, 1.25, 1.5])));
        const picture = {
            drawing: original.drawing,
            origin: 'duplicate-of',
            index: original.index,
            variant: 100 + variant,
            of: original,
        };
        this.order(
            picture,
            { ...shown, width, format: luck.maybe(0.7) ? shown.format : 'png' },
            original.crop,
            original.source,
        );
        this.pictures.push(picture);
        return picture;
    }

    order(picture, shown, crop = 'none', source = picture.drawing.file) {
        const { drawing } = picture;
        const stem = path.join(this.scratch, `p${this.jobs.length}`);
        let from = source;
        if (drawing.svg) {
            from = `${stem}.svg`;
            fs.writeFileSync(from, drawing.svg.replaceAll('currentColor', shown.ink ?? '#000000'));
        }
        picture.shown = shown;
        picture.crop = crop;
        picture.source = source;
        picture.path = `${stem}.${END_OF[shown.format]}`;
        this.jobs.push([from, picture.path, shown.width, shown.format, shown.ground, crop].join('\t'));
    }

    /** Draws what was ordered since the last call and reads every new picture's bytes. */
    draw(renderer) {
        const list = path.join(this.scratch, 'list');
        fs.writeFileSync(
            list,
            this.jobs
                .slice(this.drawn ?? 0)
                .map((job) => `${job}\n`)
                .join(''),
        );
        this.drawn = this.jobs.length;
        try {
            execFileSync(renderer, [list], {
                stdio: ['ignore', 'ignore', fs.openSync(path.join(this.scratch, 'left-out'), 'a')],
            });
        } catch (error) {
            throw new Error(
                error.code === 'ENOENT'
                    ? `${renderer} is missing: build it with: make ${renderer}`
                    : `${renderer} ${list} failed: ${error.message}`,
            );
        }
        for (const picture of this.pictures) {
            if (picture.body || !fs.existsSync(picture.path)) continue;
            fill(picture, fs.readFileSync(picture.path));
        }
    }
}

/** Gives a picture its bytes and what follows from them. */
export function fill(picture, body) {
    Object.assign(picture, { body, ...measure(body) });
    picture.sha256 = crypto.createHash('sha256').update(body).digest('hex');
    picture.sha1 = crypto.createHash('sha1').update(body).digest('hex');
    return picture;
}

function measure(body) {
    if (body.length > 24 && body.readUInt32BE(0) === 0x89504e47)
        return { mime: 'image/png', end: 'png', width: body.readUInt32BE(16), height: body.readUInt32BE(20) };
    if (body.length > 30 && body.toString('latin1', 0, 4) === 'RIFF') {
        const kind = body.toString('latin1', 12, 16);
        const bits = kind === 'VP8L' ? body.readUInt32LE(21) : 0;
        const [width, height] =
            kind === 'VP8X'
                ? [body.readUIntLE(24, 3) + 1, body.readUIntLE(27, 3) + 1]
                : kind === 'VP8L'
                  ? [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1]
                  : [body.readUInt16LE(26) & 0x3fff, body.readUInt16LE(28) & 0x3fff];
        return { mime: 'image/webp', end: 'webp', width, height };
    }
    for (let at = 2; body.length > 4 && body.readUInt16BE(0) === 0xffd8 && at + 9 < body.length;) {
        const marker = body[at + 1];
        if (marker >= 0xc0 && marker <= 0xc2)
            return {
                mime: 'image/jpeg',
                end: 'jpg',
                width: body.readUInt16BE(at + 7),
                height: body.readUInt16BE(at + 5),
            };
        at += 2 + body.readUInt16BE(at + 2);
    }
    return { mime: 'image/png', end: 'png', width: 128, height: 128 }; // broken: what a careless server would claim
}

// ---- broken and oversized files ----

function pngChunk(type, data) {
    const chunk = Buffer.alloc(12 + data.length);
    chunk.writeUInt32BE(data.length, 0);
    chunk.write(type, 4, 'latin1');
    data.copy(chunk, 8);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
    return chunk;
}

const CRC_TABLE = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n >>> 0;
});

function crc32(data) {
    let crc = 0xffffffff;
    for (const byte of data) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255];
    return (crc ^ 0xffffffff) >>> 0;
}

function png(width, height, pixels) {
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head.set([8, 2, 0, 0, 0], 8); // eight bits, RGB
    return Buffer.concat([
        Buffer.from('89504e470d0a1a0a', 'hex'),
        pngChunk('IHDR', head),
        pngChunk('IDAT', pixels),
        pngChunk('IEND', Buffer.alloc(0)),
    ]);
}

/** About 40 files that are no proper picture: origin corrupt, and a name that tells what is wrong. */
export function makeBroken(whole, small) {
    const pick = chance('broken');
    const healthy = (end) => pick.pick(whole.filter((p) => p.end === end && p.body.length > 600)).body;
    const makers = {
        'truncated png': [
            6,
            () => {
                const b = healthy('png');
                return [b.subarray(0, Math.floor(b.length * 0.6)), 'png'];
            },
        ],
        'truncated jpeg': [
            4,
            () => {
                const b = healthy('jpg');
                return [b.subarray(0, Math.floor(b.length * 0.4)), 'jpg'];
            },
        ],
        'truncated webp': [
            3,
            () => {
                const b = healthy('webp');
                return [b.subarray(0, Math.floor(b.length * 0.5)), 'webp'];
            },
        ],
        'wrong magic': [
            5,
            () => {
                const b = Buffer.from(healthy('png'));
                b.fill(0x58, 0, 8);
                return [b, 'png'];
            },
        ],
        'html as png': [
            5,
            (i) => [Buffer.from(`<!DOCTYPE html><title>Not found</title><p>No picture ${i} here.</p>\n`), 'png'],
        ],
        'vast header': [4, (i) => [png(100000, 100000 - i, zlib.deflateSync(Buffer.alloc(64))), 'png']],
        'zero length': [1, () => [Buffer.alloc(0), 'png']],
        'damaged data': [
            5,
            () => {
                const b = Buffer.from(healthy('png'));
                b.fill(0xa5, b.length >> 1, (b.length >> 1) + 40);
                return [b, 'png'];
            },
        ],
        'short header': [4, () => [healthy('png').subarray(0, 20), 'png']],
        'svg as png': [
            3,
            (i) => [Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg"><circle r="${i + 4}"/></svg>\n`), 'png'],
        ],
        gif: [
            2,
            (i) => [
                Buffer.concat([
                    Buffer.from('GIF89a'),
                    Buffer.from([
                        1,
                        0,
                        1,
                        0,
                        0x80,
                        0,
                        0,
                        i,
                        0,
                        0,
                        255,
                        255,
                        255,
                        0x2c,
                        0,
                        0,
                        0,
                        0,
                        1,
                        0,
                        1,
                        0,
                        0,
                        2,
                        2,
                        0x44,
                        1,
                        0,
                        0x3b,
                    ]),
                ]),
                'gif',
            ],
        ],
    };
    const broken = [];
    for (const [name, [n, make]] of Object.entries(makers)) {
        for (let i = 0; i < (small ? Math.ceil(n / 4) : n); i++) {
            const [body, end] = make(i);
            const licence = { name: 'CC0', url: '' };
            const drawing = {
                key: `broken/${name}/${i}`,
                package: 'webstill',
                name: `${name} ${i + 1}`,
                artist: '',
                licence,
            };
            broken.push({ ...fill({ drawing, origin: 'corrupt', index: null }, body), end });
        }
    }
    return broken;
}

/** Three files over 8 MB: two whole pictures without compression, and one with a long tail of nothing. */
export function makeOversized(whole) {
    const plain = (width, height) => {
        const rows = Buffer.alloc(height * (1 + 3 * width));
        for (let y = 0; y < height; y++) rows.fill(y & 255, y * (1 + 3 * width) + 1, (y + 1) * (1 + 3 * width));
        return png(width, height, zlib.deflateSync(rows, { level: 0 }));
    };
    const tail = Buffer.concat([whole.find((p) => p.end === 'jpg').body, Buffer.alloc(9000000)]);
    return [plain(2000, 1500), plain(1900, 1600), tail].map((body, i) => {
        const drawing = {
            key: `oversized/${i}`,
            package: 'webstill',
            name: `poster ${i + 1}`,
            artist: '',
            licence: { name: 'CC0', url: '' },
        };
        return fill({ drawing, origin: 'corrupt', index: null }, body);
    });
}
