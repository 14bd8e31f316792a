// A built web on disk: known by a stamp, and replaced as a whole.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** What a web of this size follows from: the digest of the scripts, renderers and lists of packages in `folders`. */
export function stampOf(size, folders) {
    const hash = crypto.createHash('sha256').update(size);
    for (const folder of folders)
        for (const name of fs
            .readdirSync(folder)
            .filter((n) => /\.(mjs|c|lock)$/.test(n))
            .sort())
            hash.update(`\n${name}\n`).update(fs.readFileSync(path.join(folder, name)));
    return hash.digest('hex');
}

export function isCurrent(out, stamp) {
    const file = path.join(out, 'stamp');
    return fs.existsSync(file) && fs.readFileSync(file, 'utf8').trim() === stamp;
}

/** Removes what builds that were killed left beside `out`. */
function removeLeftovers(out) {
    const folder = path.dirname(out);
    for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
        const found = name.match(/^(.+)\.(next|scratch)\.(\d+)$/);
        if (found && found[1] === path.basename(out) && !fs.existsSync(`/proc/${found[3]}`))
            fs.rmSync(path.join(folder, name), { recursive: true, force: true });
    }
}

/** Lets `build(next, scratch)` make a tree in the folder `next`, then puts it, with its stamp, in the place of `out`. */
export function replaceTree(out, stamp, build) {
    const next = `${out}.next.${process.pid}`;
    const scratch = `${out}.scratch.${process.pid}`;
    removeLeftovers(out);
    try {
        build(next, scratch);
        fs.writeFileSync(path.join(next, 'stamp'), `${stamp}\n`);
        fs.rmSync(`${out}.old`, { recursive: true, force: true });
        if (fs.existsSync(out)) fs.renameSync(out, `${out}.old`);
        fs.renameSync(next, out);
        fs.rmSync(`${out}.old`, { recursive: true, force: true });
    } finally {
        fs.rmSync(scratch, { recursive: true, force: true });
        fs.rmSync(next, { recursive: true, force: true });
    }
}
