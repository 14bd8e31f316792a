// The tree on disk: pictures below files/HOST, texts below text/HOST (their @PORT@ is filled in when served), nginx's
// parts, and the side files that only tests and evaluation read.

import fs from 'node:fs';
import path from 'node:path';

/** Every host has a loopback address of its own, as hosts on the web do. */
export const HOSTS = {
    'commons.fashion.test': '127.0.87.1',
    'images.fashion.test': '127.0.87.2',
    'shop.fashion.test': '127.0.87.3',
    'blog.fashion.test': '127.0.87.4',
    'cdn.fashion.test': '127.0.87.5',
    'private.fashion.test': '127.0.87.6',
    'closed.fashion.test': '127.0.87.7',
    'slow.fashion.test': '127.0.87.8',
};

export function escapeXml(text) {
    return String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
}

export class Site {
    /** `hosts`: name -> address. */
    constructor(folder, hosts = HOSTS) {
        this.folder = folder;
        this.hosts = hosts;
        this.made = new Set();
        this.truth = new Map();
        this.http = [];
        this.hostParts = Object.fromEntries(Object.keys(hosts).map((host) => [host, []]));
        this.counts = { pages: 0, pictures: 0, bytes: 0 };
    }

    write(relative, content) {
        const full = path.join(this.folder, relative);
        const folder = path.dirname(full);
        if (!this.made.has(folder)) {
            fs.mkdirSync(folder, { recursive: true });
            this.made.add(folder);
        }
        fs.writeFileSync(full, content);
    }

    /** Puts a text (a page, an answer, robots.txt) at `where` on `host`; returns its URL. */
    text(host, where, content) {
        this.write(`text/${host}${where}`, content);
        this.counts.pages++;
        return `http://${host}:@PORT@${where}`;
    }

    /** Puts a picture's bytes at `where` on `host`; returns its URL. */
    place(picture, host, where) {
        this.write(`files/${host}${where}`, picture.body);
        this.counts.pictures++;
        this.counts.bytes += picture.body.length;
        this.remember(picture);
        return `http://${host}:@PORT@${where.split('/').map(encodeURIComponent).join('/')}`;
    }

    remember(picture) {
        if (this.truth.has(picture.sha256)) return;
        const { drawing } = picture;
        const line = {
            sha256: picture.sha256,
            origin: picture.origin,
            class: picture.index,
            package: drawing.package,
            name: drawing.name,
            key: drawing.key,
            licence: drawing.licence.name,
        };
        if (picture.of) line.of = picture.of.sha256;
        this.truth.set(picture.sha256, line);
    }

    nginxHttp(text) {
        this.http.push(text);
    }

    nginxHost(host, lines) {
        this.hostParts[host].push(...lines);
    }

    /** Writes what is not served. */
    finish({ classes, port }) {
        this.write('nginx/http.conf', this.http.join('\n'));
        for (const [host, lines] of Object.entries(this.hostParts))
            this.write(`nginx/${host}.conf`, lines.map((l) => `${l}\n`).join(''));
        this.write(
            'hosts.txt',
            Object.entries(this.hosts)
                .map(([host, address]) => `${host} ${address}\n`)
                .join(''),
        );
        this.write('classes.json', `${JSON.stringify(classes, null, 2)}\n`);
        this.write('port', `${port}\n`);
        const lines = [...this.truth.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
        this.write('truth.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    }
}
