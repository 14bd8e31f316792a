// Holds a crawled and stored working directory against what the miniature web knows of itself.
//
// usage: node tests/e2e/reconcile.mjs CHECK WEB WORK SERVER     exit code 0 when the check holds
//
//   WEB     the web (build/web-small)          WORK    the working directory
//   SERVER  the server's folder: nginx/access.log and nginx/text, the pages as they were served
//
// Checks: classes, corrupt, once, funnel, manners. Reads the store with mdb_dump, as a stranger would.
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const [check, web, work, server] = process.argv.slice(2);
const port = fs.readFileSync(`${server}/nginx/serving`, 'utf8').split(' ')[0];
const problems = [];
const expect = (condition, text) => condition || problems.push(text);

function readTable(name) {
    const text = execFileSync('mdb_dump', ['-s', name, `${work}/store`], { encoding: 'latin1', maxBuffer: 1 << 30 });
    const lines = text.split('\n').filter((line) => line.startsWith(' '));
    const rows = new Map();
    for (let i = 0; i + 1 < lines.length; i += 2) rows.set(lines[i].trim(), lines[i + 1].trim());
    return rows;
}

const textOf = (hex) => Buffer.from(hex, 'hex').toString();
const sha256Of = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

function* filesBelow(folder) {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
        const full = path.join(folder, entry.name);
        if (entry.isDirectory()) yield* filesBelow(full);
        else yield full;
    }
}

/** Every picture file: { host, where (as URLs have it), sha256, size }. */
function listServed() {
    return fs.readdirSync(`${web}/files`).flatMap((host) =>
        [...filesBelow(`${web}/files/${host}`)].map((file) => {
            const body = fs.readFileSync(file);
            const where = file.slice(`${web}/files/${host}`.length).split('/').map(encodeURIComponent).join('/');
            return { host, where, sha256: sha256Of(body), size: body.length };
        }),
    );
}

const requests = fs
    .readFileSync(`${server}/nginx/access.log`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
        const [host, where, status, time, agent] = line.split('\t');
        return { host, where, status: Number(status), time: Number(time), agent };
    });
const truth = new Map(
    fs
        .readFileSync(`${web}/truth.jsonl`, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map((line) => [line.sha256, line]),
);
const served = listServed();
const servedAt = new Map(served.map((file) => [file.host + file.where, file]));
const fetched = requests.flatMap((r) => (r.status === 200 && servedAt.get(r.host + r.where)) || []);
const optedOut = (file) => file.host === 'blog.fashion.test' && file.where.startsWith('/noai/');
const isForbidden = {
    'shop.fashion.test': (where) => where.startsWith('/cart/'),
    'blog.fashion.test': (where) => where.startsWith('/drafts/'),
    'private.fashion.test': (where) => where.startsWith('/secret/'),
    'closed.fashion.test': (where) => where !== '/robots.txt',
    'commons.fashion.test': (where) => where.startsWith('/w/') && !where.startsWith('/w/api.php'),
};

const maxBodyBytes = 4096 * 1024; // crawl.max_body_kib of configs/web-small.yaml

/** What a reader of the permitted pages and answers can come to. */
function listReachable() {
    const texts = [...filesBelow(`${server}/nginx/text`)]
        .filter((file) => {
            const [host, ...rest] = path.relative(`${server}/nginx/text`, file).split('/');
            const where = `/${rest.join('/')}`.replace('/w/api/', '/w/api.php');
            return !isForbidden[host]?.(where);
        })
        .map((file) => fs.readFileSync(file, 'utf8').replaceAll('&amp;', '&').replaceAll('&#39;', "'"))
        .join('\n');
    return served.filter((file) => texts.includes(file.where.slice(1)) && !isForbidden[file.host]?.(file.where));
}

const checks = {
    /** Every picture of a class that a permitted page or answer names was fetched and is in the store. */
    classes() {
        const ids = readTable('images');
        let n = 0;
        for (const file of listReachable()) {
            if (truth.get(file.sha256).origin !== 'class' || optedOut(file)) continue;
            n++;
            expect(ids.has(file.sha256.slice(0, 32)), `${file.host}${file.where} is not in the store`);
        }
        expect(n >= 100, `expected at least 100 reachable pictures of classes, found ${n}`);
    },
    /** Broken and oversized files are refused under a reason with a name, and never stored. */
    corrupt() {
        const ids = readTable('images');
        const refused = new Map([...readTable('refused')].map(([key, value]) => [key, JSON.parse(textOf(value))]));
        const kinds = new Set();
        for (const file of fetched) {
            const { origin, name } = truth.get(file.sha256);
            if (origin !== 'corrupt') continue;
            expect(!ids.has(file.sha256.slice(0, 32)), `${name} (${file.where}) is in the store`);
            const row = refused.get(file.sha256) ?? [...refused.values()].find((r) => r.url?.endsWith(file.where));
            expect(/^[a-z_]+$/.test(row?.reason ?? ''), `${name} (${file.where}) is refused without a reason`);
            if (row) kinds.add(row.reason);
        }
        expect(kinds.size >= 4, `expected at least four reasons, found ${[...kinds].join(', ')}`);
    },
    /** Each distinct body is stored or refused, once. */
    once() {
        const ids = readTable('images');
        const refused = readTable('refused');
        const urlOf = (file) => `http://${file.host}:${port}${file.where}`;
        const rowOf = (file) => (file.size > 0 ? file.sha256 : sha256Of(urlOf(file))); // as webstill/images/read.h says
        const bodies = new Set(fetched.filter((file) => !optedOut(file) && file.size <= maxBodyBytes).map(rowOf));
        for (const sha256 of bodies) {
            const isStored = ids.has(sha256.slice(0, 32));
            const problem = isStored ? 'stored and refused' : 'neither stored nor refused';
            expect(isStored !== refused.has(sha256), `${sha256} (${truth.get(sha256)?.name}) is ${problem}`);
        }
        for (const id of ids.keys())
            expect(
                [...bodies].some((sha256) => sha256.startsWith(id)),
                `image ${id} was never fetched`,
            );
        for (const file of fetched.filter(optedOut))
            expect(!ids.has(file.sha256.slice(0, 32)), `${file.where} is stored although it opted out`);
        const { counts } = readJson(`${work}/store/manifest.json`);
        expect(counts.images === ids.size, `the manifest counts ${counts.images} images, the store holds ${ids.size}`);
    },
    /** What goes in comes out: fetched = stored + duplicates + refused, in the manifests and in the server's log. */
    funnel() {
        const { counts: crawl, facts } = readJson(`${work}/crawl/manifest.json`);
        const store = readJson(`${work}/store/manifest.json`).counts;
        const out = store.images + store.duplicates + store.refused + store.refused_again;
        expect(store.pictures === out, `${store.pictures} pictures went into the store, ${out} came out`);
        const whole = fetched.filter((file) => !optedOut(file) && file.size <= maxBodyBytes).length;
        expect(crawl.images === whole, `crawl counts ${crawl.images} images, the server gave ${whole}`);
        let nLost = 0;
        for (const [name, n] of Object.entries(facts.images_per_class)) {
            const found = facts.found_per_class[name];
            expect(found >= n && n > 0, `${name}: ${found} found, ${n} fetched`);
            nLost += found - n;
        }
        expect(nLost > 0, 'of no class a picture was found and not fetched');
    },
    /** robots.txt before anything else, nothing forbidden, and who asks says so. */
    manners() {
        const seen = new Set();
        for (const { host, where, agent } of requests) {
            expect(seen.has(host) || where === '/robots.txt', `${host}${where} was asked for before its robots.txt`);
            seen.add(host);
            expect(!isForbidden[host]?.(where), `${host}${where} is forbidden`);
            expect(agent === 'webstill-test/0.1 (test@example.org)', `${host}${where} was asked for by "${agent}"`);
        }
        for (const host of Object.keys(isForbidden)) expect(seen.has(host), `${host} was never asked`);
    },
};

if (!checks[check] || !server) {
    console.error(`usage: reconcile.mjs ${Object.keys(checks).join('|')} WEB WORK SERVER`);
    process.exit(2);
}
checks[check]();
for (const problem of problems.slice(0, 12)) console.log(problem);
if (problems.length) console.log(`${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
