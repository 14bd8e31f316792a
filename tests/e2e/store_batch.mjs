// Make a batch for tests/format/onnx_check.mjs from a working directory: pictures of the store as a student's input,
// and the logits that `webstill score --model` wrote for them.
//
// usage: node tests/e2e/store_batch.mjs WORK SCORES.safetensors OUT.safetensors
//
// Reads the store by its documented layout alone (include/webstill/images/read.h): a 32-byte head, then the pixels.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

const [work, scoresPath, outPath] = process.argv.slice(2);
const HEAD_BYTES = 32, N = 16;

const bytes = fs.readFileSync(scoresPath);
const length = Number(bytes.readBigUInt64LE(0));
const header = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
const part = (name) => {
    const [begin, end] = header[name].data_offsets;
    return bytes.subarray(8 + length + begin, 8 + length + end);
};
const card = JSON.parse(header.__metadata__['webstill.card']);
const ids = part('ids'), logits = part('logits');
const classes = header.logits.shape[1];

const lines = execFileSync('mdb_dump', ['-s', 'images', `${work}/store`], { encoding: 'latin1', maxBuffer: 1 << 30 })
    .split('\n')
    .filter((line) => line.startsWith(' '))
    .map((line) => line.trim());
const pixelsOf = new Map();
for (let i = 0; i + 1 < lines.length; i += 2)
    pixelsOf.set(lines[i], Buffer.from(lines[i + 1], 'hex').subarray(HEAD_BYTES));

const { channels, height, width } = card;
const plane = height * width;
const input = new Float32Array(N * channels * plane);
for (let i = 0; i < N; i++) {
    const pixels = pixelsOf.get(ids.subarray(16 * i, 16 * i + 16).toString('hex'));
    for (let c = 0; c < channels; c++)
        for (let p = 0; p < plane; p++)
            input[(i * channels + c) * plane + p] = (pixels[p * channels + c] / 255 - card.mean[c]) / card.std[c];
}

const inputBytes = Buffer.from(input.buffer), logitBytes = logits.subarray(0, N * classes * 4);
const end = inputBytes.length + logitBytes.length;
const head = Buffer.from(
    JSON.stringify({
        input: { dtype: 'F32', shape: [N, channels, height, width], data_offsets: [0, inputBytes.length] },
        logits: { dtype: 'F32', shape: [N, classes], data_offsets: [inputBytes.length, end] },
    }),
);
const size = Buffer.alloc(8);
size.writeBigUInt64LE(BigInt(head.length));
fs.writeFileSync(outPath, Buffer.concat([size, head, inputBytes, logitBytes]));
