// warcio reads our WARC files, and writes one for us to read.
//
//   node tests/format/warcio_check.mjs read FILE...   checks each record's lengths and digests; prints "TYPE URI BODY-SHA256"
//   node tests/format/warcio_check.mjs write FILE     writes a response, a metadata record and a revisit, gzip per record
//
// Ends with 0 when all is well, 1 with a message when not, 77 when warcio is not installed (npm install --ignore-scripts
// --prefix build/npm warcio@2.4.11). Works with node 18.
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

function load() {
    for (const place of [import.meta.url, pathToFileURL(resolve('build/npm/package.json')).href]) {
        try {
            return createRequire(place)('warcio');
        } catch {
            // the next place
        }
    }
    console.log('skipped: warcio is not installed (npm install --ignore-scripts --prefix build/npm warcio@2.4.11)');
    process.exit(77);
}
const { WARCParser, WARCRecord, WARCSerializer } = load();

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
function base32(bytes) {
    let bits = 0, n = 0, text = '';
    for (const byte of bytes) {
        bits = (bits << 8) | byte;
        for (n += 8; n >= 5; n -= 5)
            text += ALPHABET[(bits >>> (n - 5)) & 31];
        bits &= 0xff;
    }
    if (n > 0)
        text += ALPHABET[(bits << (5 - n)) & 31];
    return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}

function fail(message) {
    console.error(message);
    process.exit(1);
}

async function read(path) {
    let n = 0;
    for await (const record of new WARCParser(createReadStream(path))) {
        const body = Buffer.from(await record.readFully(false));
        const sha256 = createHash('sha256').update(body).digest();
        const declared = record.warcHeader('WARC-Payload-Digest');
        if (record.warcType === 'response' && declared !== `sha256:${base32(sha256)}`)
            fail(`${path}: ${record.warcTargetURI}: payload digest ${declared}, the body has sha256:${base32(sha256)}`);
        if (!/^<urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}>$/.test(
            record.warcHeader('WARC-Record-ID')))
            fail(`${path}: record ${n} has the id ${record.warcHeader('WARC-Record-ID')}`);
        console.log(record.warcType, record.warcTargetURI ?? '-', sha256.toString('hex'));
        n++;
    }
    if (n === 0)
        fail(`${path}: warcio found no record`);
}

async function* bodyOf(text) {
    yield Buffer.from(text);
}

async function write(path) {
    const date = '2026-01-02T03:04:05Z', warcVersion = 'WARC/1.1', url = 'http://h.test/warcio.txt';
    const records = [
        WARCRecord.createWARCInfo({ filename: 'warcio.warc.gz', warcVersion }, { software: 'warcio' }),
        WARCRecord.create({ url, date, type: 'response', warcVersion, httpHeaders: { 'Content-Type': 'text/plain' } },
            bodyOf('written by warcio')),
        WARCRecord.create({ url, date, type: 'metadata', warcVersion, warcHeaders: { 'Content-Type': 'application/json' } },
            bodyOf('{"url":"http://h.test/warcio.txt"}')),
    ];
    const parts = [];
    for (const record of records)
        parts.push(Buffer.from(await WARCSerializer.serialize(record, { gzip: true })));
    writeFileSync(path, Buffer.concat(parts));
}

const [command, ...paths] = process.argv.slice(2);
for (const path of paths)
    await (command === 'write' ? write(path) : read(path));
