// What the READMEs say of the code is there: quoted messages, links, rooms; and the front page stays a page.
//
// usage: node tests/cli/readme.mjs [--self-test]      prints a line a fault, and "N checked"; exit code 1 when there is one
import fs from 'node:fs';
import path from 'node:path';

const FRONT_PAGE_BYTES = 10 * 1024;
const SCREEN_LINES = 50;
const LEAST_FIXED = 10; // letters that a format must say itself before it counts as a message's source

const rooms = ['crawler', 'store', 'curate', 'distill', 'distill/nn'];
const pages = ['README.md', 'tests/README.md', ...rooms.map((room) => `${room}/README.md`)];

function filesBelow(folder, keep) {
    return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const file = path.join(folder, entry.name);
        return entry.isDirectory() ? filesBelow(file, keep) : keep(file) ? [file] : [];
    });
}

/** Every string of a C source, neighbours joined as the compiler joins them; PRI macros stand for a conversion. */
export function stringsOf(text) {
    const joined = /"(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI[a-zA-Z0-9]+|[A-Z][A-Z_]+)?\s*"(?:[^"\\\n]|\\.)*")*/g;
    const bare = text.replace(/\/\*[\s\S]*?\*\//g, '');
    const piece = /"((?:[^"\\\n]|\\.)*)"|\b(PRI[a-zA-Z0-9]+)|\b([A-Z][A-Z_]+)/g;
    return (bare.match(joined) ?? []).map((run) =>
        [...run.matchAll(piece)]
            .map(([, literal, conversion]) => (literal !== undefined ? literal : conversion ? 'd' : '%s'))
            .join('')
            .replace(/\\n/g, '')
            .replace(/\\(.)/g, '$1'),
    );
}

/** The texts that a format says itself, between its conversions. */
export function fixedParts(format) {
    return format
        .replace(/%%/g, '\u0001')
        .split(/%[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?[a-zA-Z]/)
        .map((part) => part.replace(/\u0001/g, '%'));
}

/** Does the format make this message, or its beginning where the quote ends in an ellipsis? */
export function makes(format, quote) {
    const parts = fixedParts(format);
    if (parts.join('').replace(/[^a-zA-Z]/g, '').length < LEAST_FIXED) return false;
    const isCut = quote.endsWith('…');
    const text = isCut ? quote.slice(0, -1).trimEnd() : quote;
    let at = 0, said = 0;
    for (const [i, part] of parts.entries()) {
        if (part === '') continue;
        const found = i === 0 ? text.indexOf(part) : text.indexOf(part, at);
        if (found < 0) {
            // where the quote is cut, the format goes on behind what was quoted
            for (let n = part.length; isCut && n > 0; n--)
                if (text.slice(at).endsWith(part.slice(0, n)) && said + n >= LEAST_FIXED) return true;
            return isCut && said >= LEAST_FIXED;
        }
        at = found + part.length;
        said += part.length;
    }
    return true;
}

/** The messages that a page quotes: the first column of a table headed "message". */
export function quotesOf(page) {
    const quotes = [];
    let isTable = false;
    for (const line of page.split('\n')) {
        if (/^\| message \|/.test(line)) isTable = true;
        else if (!line.startsWith('|')) isTable = false;
        else if (isTable && line.startsWith('| `')) quotes.push(line.slice(3, line.indexOf('`', 3)));
    }
    return quotes;
}

const linksOf = (page) =>
    [...page.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1]).filter((link) => !/^[a-z]+:/.test(link));

/** The first block of a room's page: its map. */
const mapOf = (page) => /```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

function selfTest() {
    const cases = [
        [makes('%s is held by pid %s program %s since %s', 'a/lock is held by pid N program webstill-crawl since T'), true],
        [makes('%s is held by pid %s program %s since %s', 'a/lock is kept by pid N program webstill-crawl since T'), false],
        [makes('%s', 'anything at all'), false],
        [makes('nothing answered; %s: %s', 'nothing answered; http://host:1: Failed to connect to …'), true],
        [makes('none of %zu pictures is taken for %s', 'none of 4658 images is taken for "Coat": …'), false],
        [stringsOf('f("of %" PRIu32 " pictures"\n  " in all")')[0], 'of %d pictures in all'],
        [stringsOf('/* "no" */ f("a \\"b\\"")').join(), 'a "b"'],
        [quotesOf('| message | what |\n|---|---|\n| `x y` (5) | z |\n\n| `no` | |').join(), 'x y'],
    ];
    const wrong = cases.filter(([found, expected]) => found !== expected);
    for (const [found, expected] of wrong) console.log(`self-test: expected ${expected}, found ${found}`);
    return wrong.length === 0;
}

function main() {
    if (process.argv[2] === '--self-test') process.exit(selfTest() ? 0 : 1);
    const sources = ['store', 'crawler', 'curate', 'distill'].flatMap((folder) => filesBelow(folder, (f) => f.endsWith('.c')));
    const scripts = filesBelow('tests/web', (f) => f.endsWith('.sh')).map((f) => fs.readFileSync(f, 'utf8'));
    const formats = sources.flatMap((file) => stringsOf(fs.readFileSync(file, 'utf8')));
    const faults = [];
    let nChecked = 0;
    const check = (isFine, fault) => {
        nChecked++;
        if (!isFine) faults.push(fault);
    };
    for (const page of pages) {
        const text = fs.readFileSync(page, 'utf8');
        for (const quote of quotesOf(text))
            check(formats.some((format) => makes(format, quote)), `${page}: no source says: ${quote}`);
        for (const link of linksOf(text))
            check(fs.existsSync(path.join(path.dirname(page), link)), `${page}: links to ${link}, which is not there`);
    }
    const front = fs.statSync('README.md').size;
    check(front <= FRONT_PAGE_BYTES, `README.md: expected at most ${FRONT_PAGE_BYTES} bytes, found ${front}`);
    for (const room of rooms) {
        const map = mapOf(fs.readFileSync(`${room}/README.md`, 'utf8'));
        check(map.split('\n').length <= SCREEN_LINES, `${room}/README.md: its map is longer than a screen`);
        for (const entry of fs.readdirSync(room, { withFileTypes: true })) {
            const isRoom = entry.isDirectory() && !rooms.includes(`${room}/${entry.name}`);
            const name = isRoom ? `${entry.name}/` : entry.name;
            if (isRoom || entry.name.endsWith('.c'))
                check(map.includes(name), `${room}/README.md: its map does not name ${name}`);
        }
    }
    check(scripts.some((text) => text.includes('another program listens there.')), 'tests/README.md: no script says so');
    for (const fault of faults) console.log(fault);
    console.log(`${nChecked} checked`);
    process.exit(faults.length === 0 ? 0 : 1);
}

main();
