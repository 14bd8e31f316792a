// Hold the network that tests/web/symbols/adapt-teacher.mjs wrote against the one it was made of, by onnxruntime: small
// pictures into the one, the same enlarged here into the other.
//
// usage: node tests/e2e/adapt_check.mjs LARGE.onnx SMALL.onnx
//
// Exit 1 when logits differ by more than 1e-3 of the largest, 77 when onnxruntime-node is not installed.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

let ort;
try {
    ort = createRequire(pathToFileURL(resolve('build/npm/package.json')).href)('onnxruntime-node');
} catch {
    console.log('skipped: onnxruntime-node is not installed');
    process.exit(77);
}
const SMALL = 32, LARGE = 224, N = 4;

/** Bilinear with pixels' middles on one another, then the ramp. */
function enlarge(small) {
    const large = new Float32Array(LARGE * LARGE);
    const near = (i) => {
        const at = Math.min(SMALL - 1, Math.max(0, ((i + 0.5) * SMALL) / LARGE - 0.5));
        const low = Math.min(SMALL - 2, Math.floor(at));
        return [low, at - low];
    };
    for (let y = 0; y < LARGE; y++)
        for (let x = 0; x < LARGE; x++) {
            const [row, down] = near(y), [column, right] = near(x), at = row * SMALL + column;
            const upper = small[at] * (1 - right) + small[at + 1] * right;
            const lower = small[at + SMALL] * (1 - right) + small[at + SMALL + 1] * right;
            large[y * LARGE + x] = Math.min(1, Math.max(0, 6 * (upper * (1 - down) + lower * down - 0.4) + 0.5));
        }
    return large;
}

/** A ring and a line of chance's choice. */
function picture(seed) {
    const pixels = new Float32Array(SMALL * SMALL);
    for (let y = 0; y < SMALL; y++)
        for (let x = 0; x < SMALL; x++) {
            const ring = Math.abs(Math.hypot(x - 16, y - 16) - 8 - seed), line = Math.abs(x - y * 0.5 * seed - 4);
            pixels[y * SMALL + x] = Math.min(1, Math.max(0, 1.2 - Math.min(ring, line)));
        }
    return pixels;
}

async function logits(path, pixels, side) {
    const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const out = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', pixels, [1, 1, side, side]) });
    return out[session.outputNames[0]].data;
}

const [largePath, smallPath] = process.argv.slice(2);
for (let seed = 0; seed < N; seed++) {
    const small = picture(seed);
    const found = await logits(smallPath, small, SMALL), expected = await logits(largePath, enlarge(small), LARGE);
    const largest = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((v, i) => Math.abs(v - found[i]))) / largest;
    console.log(`picture ${seed}: logits differ by ${worst.toExponential(1)} of the largest`);
    if (!(worst <= 1e-3)) process.exitCode = 1;
}
