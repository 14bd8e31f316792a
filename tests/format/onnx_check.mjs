// Run ONNX models in onnxruntime and compare their logits with the stored ones.
//
//   node tests/format/onnx_check.mjs [--foreign] MODEL.onnx BATCH.safetensors [MODEL BATCH]...
//
// BATCH holds "input" [N, C, H, W] and "logits" [N, classes], both F32. Every difference must stay within 1e-5 of the
// largest logit; the first image alone must give the same (the batch is symbolic). Prints "N passed, M failed"; exit 1
// --foreign: others' models, whose input and output have any name and whose batch may be fixed at 1. Exit 1
// when one failed, 77 when onnxruntime-node is not installed (npm install --ignore-scripts --prefix build/npm
// onnxruntime-node@1.30.0). Works with node 18.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

const tolerance = 1e-5, foreignTolerance = 1e-4;

function loadRuntime() {
    for (const place of [import.meta.url, pathToFileURL(resolve('build/npm/package.json')).href]) {
        try {
            return createRequire(place)('onnxruntime-node');
        } catch (error) {
            if (error.code !== 'MODULE_NOT_FOUND') throw error;
        }
    }
    return null;
}

/** safetensors: 8 bytes of header length, JSON, data. Returns { name: { shape, data } }, float tensors only. */
function readTensors(path) {
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
    const tensors = {};
    for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
        if (name === '__metadata__' || dtype !== 'F32') continue;
        const [begin, end] = offsets;
        const data = bytes.subarray(8 + length + begin, 8 + length + end);
        tensors[name] = { shape, data: new Float32Array(new Uint8Array(data).buffer) };
    }
    return tensors;
}

/** Largest difference relative to the largest expected value. */
function distance(found, expected) {
    let largest = 0, worst = 0;
    if (found.length !== expected.length) return Infinity;
    for (let i = 0; i < expected.length; i++) {
        largest = Math.max(largest, Math.abs(expected[i]));
        const difference = Math.abs(found[i] - expected[i]);
        if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
    }
    return worst / largest;
}

async function runModel(ort, session, shape, data) {
    const values = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', data, shape) });
    return values[session.outputNames[0]];
}

/** Each image on its own. */
async function checkForeign(ort, modelPath, batchPath) {
    const { input, logits } = readTensors(batchPath);
    const session = await ort.InferenceSession.create(modelPath, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const [n, ...image] = input.shape, classes = logits.shape[1], size = image.reduce((a, b) => a * b, 1);
    const all = new Float32Array(logits.data.length);
    for (let i = 0; i < n; i++) {
        const one = await runModel(ort, session, [1, ...image], input.data.slice(i * size, (i + 1) * size));
        all.set(one.data, i * classes);
    }
    const worst = distance(logits.data, all);
    if (!(worst <= foreignTolerance)) throw new Error(`logits differ by ${worst.toExponential(2)} of the largest`);
    return worst;
}

async function check(ort, modelPath, batchPath) {
    const { input, logits } = readTensors(batchPath);
    const session = await ort.InferenceSession.create(modelPath, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    if (session.inputNames.join() !== 'input' || session.outputNames.join() !== 'logits')
        throw new Error(`inputs ${session.inputNames}, outputs ${session.outputNames}: expected input, logits`);
    const [, ...image] = input.shape, classes = logits.shape[1];
    const size = image.reduce((a, b) => a * b, 1);
    const all = await runModel(ort, session, input.shape, input.data);
    if (all.dims.join() !== logits.shape.join())
        throw new Error(`logits ${all.dims}: expected ${logits.shape}`);
    const one = await runModel(ort, session, [1, ...image], input.data.slice(0, size));
    const worst = Math.max(distance(all.data, logits.data), distance(one.data, logits.data.slice(0, classes)));
    if (!(worst <= tolerance)) throw new Error(`logits differ by ${worst.toExponential(2)} of the largest`);
    return worst;
}

const ort = loadRuntime();
if (!ort) {
    console.log('skipped: onnxruntime-node is not installed ' +
        '(npm install --ignore-scripts --prefix build/npm onnxruntime-node@1.30.0)');
    process.exit(77);
}
const isForeign = process.argv[2] === '--foreign';
const paths = process.argv.slice(isForeign ? 3 : 2);
if (paths.length === 0 || paths.length % 2 !== 0) {
    console.error('usage: onnx_check.mjs [--foreign] MODEL.onnx BATCH.safetensors [MODEL BATCH]...');
    process.exit(2);
}
let passed = 0, failed = 0;
for (let i = 0; i < paths.length; i += 2) {
    try {
        const worst = await (isForeign ? checkForeign : check)(ort, paths[i], paths[i + 1]);
        console.log(`ok      ${paths[i]} (${worst.toExponential(1)} of the largest logit)`);
        passed++;
    } catch (error) {
        console.log(`FAILED  ${paths[i]}: ${error.message}`);
        failed++;
    }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
