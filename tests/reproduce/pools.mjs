// Which images of a web a row may use, and what the selection was worth: the origin of each picture as the web's
// builder knows it. Only this driver and the tests read it; no training does.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** The tensors of a safetensors file: name -> { dtype, shape, data: Buffer }. */
export function readTensors(file) {
    const bytes = fs.readFileSync(file);
    const begin = 8 + Number(bytes.readBigUInt64LE(0));
    const head = JSON.parse(bytes.subarray(8, begin).toString('utf8'));
    delete head.__metadata__;
    return Object.fromEntries(
        Object.entries(head).map(
            ([
                name,
                {
                    dtype,
                    shape,
                    data_offsets: [from, to],
                },
            ]) => [name, { dtype, shape, data: bytes.subarray(begin + from, begin + to) }],
        ),
    );
}

function hexIds(tensor) {
    const ids = [];
    for (let i = 0; i < tensor.shape[0]; i++) ids.push(tensor.data.toString('hex', 16 * i, 16 * i + 16));
    return ids;
}

/** Image id -> { origin, shows: whether it shows a class at all, class }. An id is the first half of the SHA-256. */
export function readTruth(web) {
    const truth = new Map();
    for (const line of fs.readFileSync(path.join(web, 'truth.jsonl'), 'utf8').split('\n')) {
        if (!line) continue;
        const { sha256, origin, class: index } = JSON.parse(line);
        truth.set(sha256.slice(0, 32), { origin, shows: index !== null, class: index });
    }
    return truth;
}

/** The ids of all stored images, which the teacher's scores list. */
export function readStoreIds(work) {
    return hexIds(readTensors(path.join(work, 'scores/teacher.safetensors')).ids);
}

/** In an order that depends on nothing but the ids: a smaller pool is a part of a larger one. */
function ranked(ids) {
    const rank = (id) => crypto.createHash('sha256').update(`pool ${id}`).digest('hex');
    return ids
        .map((id) => [rank(id), id])
        .sort((a, b) => (a[0] < b[0] ? -1 : 1))
        .map(([, id]) => id);
}

function take(ids, n, what) {
    if (ids.length < n) throw new Error(`the web has ${ids.length} ${what}; expected at least ${n}`);
    return ids.slice(0, n);
}

/**
 * The ids of a row's pool, sorted. Kinds: clipart (all off topic), size (n of all), junk (n in all, of which `share`
 * show no class: off topic and wrong senses in their own proportion).
 */
export function choosePool(pool, storeIds, truth) {
    const order = ranked(storeIds);
    const shows = (id) => truth.get(id)?.shows === true;
    if (pool.kind === 'clipart') return order.filter((id) => truth.get(id)?.origin === 'off-topic').sort();
    if (pool.kind === 'size') return take(order, pool.n, 'images').sort();
    if (pool.kind === 'junk') {
        const nJunk = Math.round(pool.share * pool.n);
        const junk = take(
            order.filter((id) => !shows(id)),
            nJunk,
            'images of junk',
        );
        return [...junk, ...take(order.filter(shows), pool.n - nJunk, 'images of a class')].sort();
    }
    throw new Error(`unknown kind of pool "${pool.kind}"`);
}

/**
 * Precision and recall of a run's selections against the origin, over all its epochs: of the kept images, the share
 * that show a class; of those that show one, the share kept. Nulls where the run selects nothing.
 */
export function judgeSelection(run, truth) {
    const folder = path.join(run, 'selection');
    let [kept, right, present] = [0, 0, 0];
    for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
        if (!/^epoch-\d+\.safetensors$/.test(name)) continue;
        const { ids, keep } = readTensors(path.join(folder, name));
        hexIds(ids).forEach((id, i) => {
            const shows = truth.get(id)?.shows === true;
            kept += keep.data[i] ? 1 : 0;
            right += keep.data[i] && shows ? 1 : 0;
            present += shows ? 1 : 0;
        });
    }
    return { precision: kept > 0 ? right / kept : null, recall: kept > 0 && present > 0 ? right / present : null };
}
