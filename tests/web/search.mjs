// The search host: MediaWiki's Action API in XML, as static answers that nginx picks by the query and its offset.

import { chance, shuffled } from './chance.mjs';
import { CLASSES, wordsOf } from './classes.mjs';
import { escapeXml } from './site.mjs';

const FASHION = { classes: CLASSES, host: 'commons.fashion.test', strangers: 0.012 };

/** The folder name of a query's answers: no two queries have the same. */
function slugOf(query) {
    return query.replace(/[^a-z0-9.]/g, (c) => (c === ' ' || c === '-' ? '-' : `u${c.codePointAt(0).toString(16)}`));
}

/** What curl's and a browser's escaping make of a query: a regular expression for nginx. */
function patternOf(query) {
    const escaped = (byte) => `%${byte.toString(16).padStart(2, '0')}`.replace(/[a-f]/g, (c) => `[${c}${c.toUpperCase()}]`);
    return [...Buffer.from(query)]
        .map((byte) => {
            const c = String.fromCharCode(byte);
            if (/[a-z0-9]/i.test(c)) return c;
            if (c === ' ') return '(%20|\\+)';
            return /[-._~]/.test(c) ? `(\\${c}|${escaped(byte)})` : escaped(byte);
        })
        .join('');
}

function fileEntry(hit, rank, host) {
    const { picture, url, title } = hit;
    const { licence, artist } = picture.drawing;
    const wiki = `http://${host}:@PORT@/wiki/${encodeURIComponent(title.replaceAll(' ', '_'))}`;
    const field = (name, value) => (value ? `<${name} source="commons-desc-page" value="${escapeXml(value)}"/>` : '');
    const author = artist
        ? `<a href="//${host}/wiki/User:${encodeURIComponent(artist)}">${escapeXml(artist)}</a>`
        : '';
    const description = `${picture.drawing.name.replace(/[-_]+/g, ' ')}, from ${picture.drawing.package}`;
    return [
        `<page pageid="${hit.pageId}" ns="6" title="${escapeXml(title)}" index="${rank}" imagerepository="local">`,
        `<imageinfo><ii size="${picture.body.length}" width="${picture.width}" height="${picture.height}" `,
        `url="${escapeXml(url)}" descriptionurl="${escapeXml(wiki)}" mime="${picture.mime}" sha1="${picture.sha1}" `,
        `user="${escapeXml(artist || 'Unknown')}"><extmetadata>`,
        field('LicenseShortName', licence.name),
        field('LicenseUrl', licence.url),
        field('Artist', author),
        field('ImageDescription', description),
        '</extmetadata></ii></imageinfo></page>',
    ].join('');
}

/** One answer: `hits` from `offset` on, in page order, which is not rank order. */
function answer(hits, offset, limit, host) {
    const shown = hits.slice(offset, offset + limit).map((hit, i) => ({ hit, rank: offset + i + 1 }));
    shown.sort((a, b) => a.hit.pageId - b.hit.pageId);
    const next = offset + limit < hits.length ? `<continue gsroffset="${offset + limit}" continue="gsroffset||"/>` : '';
    const pages = shown.map(({ hit, rank }) => fileEntry(hit, rank, host)).join('\n');
    return `<?xml version="1.0"?>\n<api batchcomplete="">${next}<query><pages>\n${pages}\n</pages></query></api>\n`;
}

/** Which hits a query gets: the main query of a class nearly all, the others those with its word and some more. */
function hitsOf(query, main, hits) {
    const words = wordsOf(query);
    const chosen = hits.filter((hit) => {
        const luck = chance(`hit|${query}|${hit.title}`).next();
        if (main) return luck < 0.95;
        return words.some((word) => hit.words.includes(word)) || luck < 0.3;
    });
    // Clothes come earlier than junk, but not before all of it.
    const rank = (hit) => chance(`rank|${query}|${hit.title}`).next() + (hit.picture.origin === 'class' ? 0 : 0.35);
    return chosen
        .map((hit) => [rank(hit), hit])
        .sort((a, b) => a[0] - b[0])
        .map(([, hit]) => hit);
}

/**
 * Writes all answers. `hits[c]` lists what the index holds for class c: { picture, url, title }. `web` names the classes
 * ({ name, slug, queries }), the host, and the share of other classes' pictures that each class's queries bring. Returns
 * for each class its name and queries.
 */
export function writeSearch(site, hits, limit, web = FASHION) {
    const { classes, host, strangers: share } = web;
    const lines = [];
    let pageId = 1000;
    const all = hits.flat();
    for (const hit of shuffled(all, 'page id', (h) => h.title)) {
        hit.pageId = pageId += 1 + chance(`id|${hit.title}`).below(40);
        hit.words = wordsOf(hit.picture.drawing.name);
    }
    classes.forEach((entry, index) => {
        // Neighbours' clothes turn up too: who asks for shirts also gets T-shirts.
        const strangers = all.filter(
            (hit) =>
                hit.picture.origin === 'class' &&
                hit.picture.index !== index &&
                chance(`stranger|${entry.slug}|${hit.title}`).maybe(share),
        );
        entry.queries.forEach((query, q) => {
            const found = hitsOf(query, q === 0, [...hits[index], ...strangers]);
            for (let offset = 0; offset < Math.max(found.length, 1); offset += limit)
                site.text(host, `/w/api/${slugOf(query)}/${offset}.xml`, answer(found, offset, limit, host));
            // With or without a filter behind it. Letters that differ in case alone are different symbols.
            const pattern = `${web.isCased ? '~' : '~*'}^${patternOf(query)}((%20|\\+)filetype(%3[aA]|:)[a-z]+)?$`;
            lines.push(`    "${pattern}" ${slugOf(query)};`);
        });
    });
    site.text(host, '/w/api/empty.xml', '<?xml version="1.0"?>\n<api batchcomplete=""/>\n');
    site.text(
        host,
        '/w/api/error.xml',
        '<?xml version="1.0"?>\n<api><error code="badvalue" ' +
            'info="Expected action=query, format=xml and generator=search."/></api>\n',
    );
    site.nginxHttp(
        `map $arg_gsrsearch $search_query {\n    default unknown;\n${lines.join('\n')}\n}\n` +
            'map $arg_gsroffset $search_offset {\n    default none;\n    "" 0;\n    "~^[0-9]+$" $arg_gsroffset;\n}\n' +
            'map "$arg_action $arg_format $arg_generator" $search_folder {\n' +
            '    default wrong;\n    "query xml search" $search_query;\n}\n',
    );
    site.nginxHost(host, [
        'location = /w/api.php {',
        '    default_type "text/xml; charset=utf-8";',
        '    types { }',
        '    if ($search_folder = wrong) { rewrite ^ /w/api/error.xml last; }',
        '    rewrite ^ /w/api/$search_folder/$search_offset.xml last;',
        '}',
        'location /w/api/ {',
        '    internal;',
        '    default_type "text/xml; charset=utf-8";',
        '    types { }',
        '    root $text_root;',
        '    try_files $uri /w/api/empty.xml =404;',
        '}',
    ]);
    return classes.map(({ name, queries }) => ({ name, queries }));
}
