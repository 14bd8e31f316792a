// The second query of each class of a configuration that `webstill config` printed (stdin), one a line, unquoted.
import fs from 'node:fs';

for (const [, list] of fs.readFileSync(0, 'utf8').matchAll(/^ {2}queries: \[(.*)\]$/gm)) {
    const query = list.slice(list.indexOf(', ') + 2);
    console.log(query.startsWith('"') ? JSON.parse(query) : query);
}
