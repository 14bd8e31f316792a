// The hosts that are read as pages: a shop with galleries, a blog, a private, a closed and a slow host.

import { chance } from './chance.mjs';
import { CLASSES } from './classes.mjs';
import { escapeXml } from './site.mjs';

const SHOP = 'shop.fashion.test';
const BLOG = 'blog.fashion.test';
const CDN = 'cdn.fashion.test';

function page(title, body, head = '') {
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">' +
        `<title>${escapeXml(title)}</title>${head}</head>\n` +
        `<body>\n<h1>${escapeXml(title)}</h1>\n${body}\n</body></html>\n`
    );
}

/** What a page says of a picture: its name in words; one in ten lies, as alt texts do. */
function altOf(picture) {
    const luck = chance(`alt|${picture.drawing.key}|${picture.variant}`);
    const words = picture.drawing.name.replace(/[-_]+/g, ' ').trim();
    if (picture.index === null && luck.maybe(0.1)) return `${luck.pick(CLASSES).queries[0]} sale`;
    return luck.maybe(0.25) ? `${luck.pick(['Red', 'Classic', 'New', 'Summer', 'Vintage'])} ${words}` : words;
}

function image(picture, url) {
    return `<img src="${url}" alt="${escapeXml(altOf(picture))}">`;
}

function withoutHost(url) {
    return url.replace(/^.*@PORT@/, '');
}

/** A path no other picture has: a short digest and the name's words. */
function pathOf(picture, folder) {
    const words = picture.drawing.name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '')
        .slice(0, 48);
    return `${folder}/${picture.sha256.slice(0, 10)}/${words || 'picture'}.${picture.end}`;
}

// ---- the shop ----

/** One item of a gallery. Four ways to write the same thing, as pages do. */
function galleryItem(site, item, i, base) {
    const { picture, resized } = item;
    const alt = escapeXml(altOf(picture));
    const onShop = i % 3 === 0;
    const where = pathOf(picture, onShop ? '/media' : '/i');
    const url = site.place(picture, onShop ? SHOP : CDN, where);
    const short = onShop ? (base ? where.slice(1) : where) : i % 3 === 1 ? url : url.replace(/^http:/, '');
    if (resized.length === 0) return `<li><a href="#i${i}"><img src="${short}" alt="${alt}" loading="lazy"></a></li>`;
    const candidates = resized.map((r) => `${site.place(r, CDN, pathOf(r, `/w${r.width}`))} ${r.width}w`);
    const srcset = [...candidates, `${url} ${picture.width}w`].join(', ');
    return `<li><img src="${short}" srcset="${srcset}" sizes="50vw" alt="${alt}"></li>`;
}

function gallery(site, folder, title, items, perPage) {
    const n = Math.max(1, Math.ceil(items.length / perPage));
    const nameOf = (k) => (k === 0 ? 'index.html' : `page-${k + 1}.html`);
    const base = chance(`base|${folder}`).maybe(0.4);
    for (let k = 0; k < n; k++) {
        const list = items
            .slice(k * perPage, (k + 1) * perPage)
            .map((item, i) => galleryItem(site, item, i, base))
            .join('\n');
        const prefix = base ? `${folder.slice(1)}/` : '';
        const links = Array.from({ length: n }, (_, j) => `<a href="${prefix}${nameOf(j)}">${j + 1}</a>`).join(' ');
        const head = base ? `<base href="http://${SHOP}:@PORT@/">` : '';
        const next = k + 1 < n ? `<a rel="next" href="${prefix}${nameOf(k + 1)}">next</a>` : '';
        site.text(
            SHOP,
            `${folder}/${nameOf(k)}`,
            page(k ? `${title}, page ${k + 1}` : title, `<ul>\n${list}\n</ul>\n<nav>${links} ${next}</nav>`, head),
        );
    }
    return `${folder}/`;
}

/**
 * The shop: a gallery a class and one of everything else. `classItems[c]` and `rest` are lists of
 * { picture, resized: other sizes of it, for srcset }.
 */
export function writeShop(site, classItems, rest, perPage) {
    const sections = CLASSES.map((entry, c) => [
        gallery(site, `/c/${entry.slug}`, `${entry.name} in our shop`, classItems[c], perPage),
        entry.name,
    ]);
    sections.push([gallery(site, '/clearance', 'Clearance: everything must go', rest, perPage), 'Clearance']);
    const links = sections.map(([href, name]) => `<li><a href="${href}">${escapeXml(name)}</a></li>`).join('\n');
    site.text(
        SHOP,
        '/index.html',
        page(
            'Fashion shop',
            `<ul>\n${links}\n</ul>\n<p><a href="/cart/">Your cart</a> <a href="/missing.html">Old season</a></p>`,
        ),
    );
    site.text(
        SHOP,
        '/cart/index.html',
        page('Your cart', '<p>Empty. <img src="/cart/empty.png" alt="an empty bag"></p>'),
    );
    site.text(
        SHOP,
        '/robots.txt',
        [
            'User-agent: badbot',
            'Disallow: /',
            '',
            'User-agent: *',
            'Disallow: /cart/',
            'Crawl-delay: 0',
            '',
            `Sitemap: http://${SHOP}:@PORT@/sitemap.xml`,
            '',
        ].join('\n'),
    );
    const urls = ['/', ...sections.map(([href]) => href)]
        .map((href) => `<url><loc>http://${SHOP}:@PORT@${href}</loc></url>`)
        .join('\n');
    site.text(
        SHOP,
        '/sitemap.xml',
        '<?xml version="1.0" encoding="UTF-8"?>\n' +
            `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n${urls}\n</urlset>\n`,
    );
}

// ---- the blog ----

function figure(site, picture, i, depth) {
    const where = pathOf(picture, '/img');
    site.place(picture, BLOG, where);
    const relative = `${'../'.repeat(depth)}${where.slice(1)}`;
    const alt = escapeXml(altOf(picture));
    if (i % 4 === 0)
        return (
            `<figure><img data-src="${relative}" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="${alt}">` +
            `<noscript><img src="${relative}" alt="${alt}"></noscript></figure>`
        );
    if (i % 4 === 1)
        return (
            `<figure><picture><source srcset="${relative}" type="${picture.mime}">` +
            `<img src="${relative}" alt="${alt}"></picture><figcaption>${alt}</figcaption></figure>`
        );
    return `<figure><img src='${relative}' alt='${alt.replaceAll("'", '&#39;')}'></figure>`;
}

/** The blog: posts with photos, lazy pictures, moved and missing pages, a redirect loop, pictures opted out. */
export function writeBlog(site, pictures, optedOut, copied, perPost) {
    const posts = [];
    for (let i = 0; i * perPost < pictures.length; i++) {
        const body = pictures
            .slice(i * perPost, (i + 1) * perPost)
            .map((p, k) => figure(site, p, k, 2))
            .join('\n');
        const where = `/2025/${String((i % 12) + 1).padStart(2, '0')}/post-${i + 1}.html`;
        const lost =
            `<p><img src="/img/lost-${i}.jpg" alt="a lost photo"> ` +
            `<a href="/2024/gone-${i}.html">last year</a></p>`;
        site.text(BLOG, where, page(`Notes on dressing, ${i + 1}`, `${body}\n${i % 3 === 0 ? lost : ''}`));
        posts.push(`<li><a href="${where.slice(1)}">Notes ${i + 1}</a></li>`);
    }
    // Three copies in four are the same bytes under another URL, one is the same file behind a redirect.
    const copies = copied.map(({ picture, moved }, i) =>
        image(picture, i % 4 === 1 ? moved : site.place(picture, BLOG, pathOf(picture, '/copies'))),
    );
    site.text(BLOG, '/inspiration.html', page('Seen elsewhere', copies.join('\n')));
    const noai = optedOut.map((p) => image(p, withoutHost(site.place(p, BLOG, pathOf(p, '/noai')))));
    site.text(BLOG, '/art.html', page('My own art, not for machines', noai.join('\n')));
    site.text(BLOG, '/drafts/next.html', page('A draft', '<p>Not yet.</p>'));
    site.text(
        BLOG,
        '/index.html',
        page(
            'A blog on dressing',
            `<ul>\n${posts.join('\n')}\n</ul>\n<p><a href="/inspiration.html">Seen elsewhere</a> ` +
                '<a href="/art.html">My art</a> <a href="/old/">Archive</a> <a href="/loop/a.html">Loop</a> ' +
                '<a href="/gone.html">Gone</a> ' +
                '<a href="/drafts/next.html">Draft</a> <a href="http://shop.fashion.test:@PORT@/">A shop</a></p>',
        ),
    );
    site.text(BLOG, '/robots.txt', 'User-agent: *\nDisallow: /drafts/\nAllow: /\nCrawl-delay: 0\n');
    site.nginxHost(BLOG, [
        'location = /old/ { return 301 /2025/01/post-1.html; }',
        'location = /loop/a.html { return 302 /loop/b.html; }',
        'location = /loop/b.html { return 302 /loop/a.html; }',
        'location = /gone.html { return 410; }',
        'location /noai/ { root $file_root; add_header X-Robots-Tag "noai, noimageai"; }',
    ]);
}

// ---- the hosts that test manners ----

/** private, closed and slow, and the robots files of the hosts without pages. */
export function writeManners(site, { open, secret, closed, slow }, slowRate) {
    const show = (host, folder, list) =>
        list.map((p) => image(p, withoutHost(site.place(p, host, pathOf(p, folder))))).join('\n');
    const hidden = show('private.fashion.test', '/secret', secret);
    site.text(
        'private.fashion.test',
        '/index.html',
        page(
            'A private wardrobe',
            `${show('private.fashion.test', '/open', open)}\n` +
                `${hidden
                    .split('\n')
                    .slice(0, Math.ceil(secret.length / 2))
                    .join('\n')}\n<a href="/secret/">the rest</a>`,
        ),
    );
    site.text('private.fashion.test', '/secret/index.html', page('Secret', hidden));
    site.text(
        'private.fashion.test',
        '/robots.txt',
        'User-agent: *\nDisallow: /secret/\nCrawl-delay: 0\n' +
            'Sitemap: http://private.fashion.test:@PORT@/sitemap.xml\n',
    );
    site.text('closed.fashion.test', '/index.html', page('Closed', show('closed.fashion.test', '/pictures', closed)));
    site.text('closed.fashion.test', '/robots.txt', 'User-agent: *\nDisallow: /\n');
    site.text('slow.fashion.test', '/index.html', page('A slow host', show('slow.fashion.test', '/photos', slow)));
    site.text('slow.fashion.test', '/robots.txt', 'User-agent: *\nDisallow:\n');
    site.nginxHost('slow.fashion.test', [`limit_rate ${slowRate};`]);
    site.text(
        'commons.fashion.test',
        '/robots.txt',
        'User-agent: *\nAllow: /w/api.php\nDisallow: /w/\nCrawl-delay: 0\n',
    );
    site.text('images.fashion.test', '/robots.txt', 'User-agent: *\nDisallow:\n');
    // cdn.fashion.test has no robots.txt: 404, which forbids nothing.
    site.nginxHost('cdn.fashion.test', [
        'location /r/ { rewrite ^/r/(.*)$ http://images.fashion.test:@PORT@/$1 redirect; }',
    ]);
}
