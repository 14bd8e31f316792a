// Hosts that answer badly: one loopback server, told apart by the Host field.
//
// usage: node tests/net/server.mjs LOG [PORT] prints its port; LOG gets a line for each request:
//        HOST PATH MILLISECONDS IN-FLIGHT     (requests of that host then under way, this one counted)
//
// GET /set?NAME=VALUE on the host "control.test" changes what "changing.test", "ill.test" and "flaky.test" say.
import fs from 'node:fs';
import http from 'node:http';
import zlib from 'node:zlib';

const log = fs.openSync(process.argv[2], 'a');
const seen = new Map();
const inFlight = new Map();
const state = { changing: 'open', ill: 'ill', flaky: 'ill' };
let port = 0;

const picture = (name) => Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.from(`picture ${name} `.repeat(20))]);
const page = (sources, head = '') =>
  `<html><head><title>t</title>${head}</head><body>${sources.map((s) => `<img src="${s}" alt="a dress">`).join('\n')}</body></html>`;

const send = (res, status, fields, body = '') => {
  res.writeHead(status, fields);
  res.end(body);
};
const html = (res, text) => send(res, 200, { 'Content-Type': 'text/html' }, text);
const png = (res, name, fields = {}) =>
  send(res, 200, { 'Content-Type': 'image/png', ...fields }, picture(res.req.headers.host + name));
const text = (res, body) => send(res, 200, { 'Content-Type': 'text/plain' }, body);
const move = (res, to) => send(res, 302, to === undefined ? {} : { Location: to });
/** Bytes as they are, and the connection closed. */
const raw = (res, head, body) => {
  res.socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n${head}\r\n\r\n`);
  res.socket.end(body);
};
const nth = (key) => {
  seen.set(key, (seen.get(key) ?? 0) + 1);
  return seen.get(key);
};
const endless = (res, chunk, pauseMs) => {
  const timer = setInterval(() => res.write(chunk), pauseMs);
  res.on('close', () => clearInterval(timer));
};

const bomb = zlib.gzipSync(Buffer.alloc(50e6));
const none = (path, res) => send(res, 404, {}, 'no such page');
const withRobots = (rules, pictures, other = none, isWell = () => true) => (path, res) => {
  if (path === '/robots.txt') return typeof rules === 'function' ? rules(res) : text(res, rules);
  if (path === '/') return html(res, page(pictures));
  if (path.endsWith('.png')) return isWell(res, path) ? png(res, path) : send(res, 503, {});
  return other(path, res);
};

const longRobots = (res) => {
  let body = 'User-agent: *\nDisallow: /secret\n';
  const cut = 500 * 1024 - 'Disallow: /o'.length;
  body += '#'.repeat(cut - body.length - 1) + '\nDisallow: /only-this/\n' + '#'.repeat(100 * 1024);
  send(res, 200, { 'Content-Type': 'text/plain', 'Content-Length': body.length }, body);
};

const hosts = {
  'redirect.test': withRobots('', ['/hop', '/loop1', '/far', '/ftp', '/nowhere', '/chain/0', '/target.png'], (path, res) => {
    if (path === '/hop') return move(res, 'target.png');
    if (path === '/loop1') return move(res, '/loop2');
    if (path === '/loop2') return move(res, '/loop1');
    if (path === '/far') return move(res, `http://127.0.0.9:${port}/inside.png`);
    if (path === '/ftp') return move(res, 'ftp://\xff\xfe/x');
    if (path === '/nowhere') return move(res);
    if (path.startsWith('/chain/')) return move(res, `/chain/${1 + Number(path.slice(7))}`);
    return none(path, res);
  }),
  'private.test': withRobots('', ['http://10.0.0.1/x.png', 'http://[::ffff:169.254.169.254]/latest/x.png']),
  'lie.test': withRobots(
    '',
    ['/short', '/long', '/huge', '/endless', '/drip', '/gzip', '/bomb', '/html.jpg', '/gone', '/teapot', '/noise'],
    (path, res) => {
      const body = picture(path);
      switch (path) {
        case '/short':
          return raw(res, 'Content-Length: 5000', body);
        case '/long':
          return raw(res, 'Content-Type: image/png\r\nContent-Length: 100', body);
        case '/huge':
          return raw(res, 'Content-Length: 100000000', body);
        case '/endless':
          res.writeHead(200, { 'Content-Type': 'image/png' });
          return endless(res, Buffer.alloc(65536, 1), 1);
        case '/drip':
          res.writeHead(200, { 'Content-Type': 'image/png' });
          return endless(res, 'x', 100);
        case '/gzip':
          return send(res, 200, { 'Content-Type': 'image/png', 'Content-Encoding': 'gzip' }, zlib.gzipSync(body));
        case '/bomb':
          return send(res, 200, { 'Content-Encoding': 'gzip' }, bomb);
        case '/html.jpg':
          return html(res, '<html>Not a picture</html>');
        case '/gone':
          return send(res, 410, {}, '');
        case '/teapot':
          return send(res, 204, {});
        case '/noise':
          return res.socket.end('SSH-2.0-none\r\n');
        default:
          return none(path, res);
      }
    },
  ),
  'busy.test': withRobots('', ['/busy', '/ill', '/after.png'], (path, res) => {
    if (path === '/busy' && nth(path) === 1) return send(res, 429, { 'Retry-After': '2' });
    if (path === '/ill' && nth(path) <= 2) return send(res, 503, {});
    return png(res, path);
  }),
  'ill.test': withRobots((res) => (state.ill === 'ill' ? send(res, 503, {}, 'ill') : text(res, '')), ['/x.png']),
  'flaky.test': withRobots('', ['/x.png', '/y.png'], none, (res, path) => state.flaky === 'well' || path === '/y.png'),
  'waits.test': withRobots((res) => send(res, 429, { 'Retry-After': '86400' }), ['/x.png']),
  'norobots.test': withRobots((res) => send(res, 404, {}, 'User-agent: *\nDisallow: /'), ['/x.png']),
  'moved.test': withRobots((res) => move(res, '/rules/1'), ['/open.png', '/secret/x.png'], (path, res) =>
    path === '/rules/1' ? move(res, '/rules/2') : text(res, 'User-agent: webstill-test\nDisallow: /secret/'),
  ),
  'turning.test': withRobots((res) => move(res, '/robots.txt?again'), ['/x.png'], (path, res) => move(res, `${path}x`)),
  'long.test': withRobots(longRobots, ['/secret/x.png', '/other.png']),
  'latin.test': withRobots((res) => text(res, Buffer.from('User-agent: *\nDisallow: /caf\xe9\n', 'latin1')), ['/caf%E9.png', '/tea.png']),
  'patient.test': withRobots('User-agent: *\nCrawl-delay: 1\nDisallow:\n', ['/x.png']),
  'slow.test': withRobots('User-agent: *\nCrawl-delay: 900\nDisallow:\n', ['/x.png']),
  'optout.test': withRobots('', ['/noai', '/tdm', '/usage', '/yes.png', '/dated'], (path, res) => {
    if (path === '/noai') return png(res, path, { 'X-Robots-Tag': 'noimageai' });
    if (path === '/tdm') return png(res, path, { 'tdm-reservation': '1' });
    if (path === '/usage') return png(res, path, { 'Content-Usage': 'train-ai=n' });
    if (path === '/dated') return png(res, path, { 'X-Robots-Tag': 'unavailable_after: Tue, 25 Jun 2030 15:00:00 GMT, noai' });
    return none(path, res);
  }),
  'meta.test': (path, res) =>
    path === '/' ? html(res, page(['/x.png'], '<meta name="robots" content="noai">')) : none(path, res),
  'changing.test': withRobots(
    (res) => text(res, state.changing === 'open' ? '' : 'User-agent: *\nDisallow: /'),
    ['/1.png', '/2.png', '/3.png'],
  ),
  'control.test': (path, res) => {
    for (const [name, value] of new URLSearchParams(path.split('?')[1])) state[name] = value;
    return text(res, 'set\n');
  },
};

const server = http.createServer((req, res) => {
  const host = (req.headers.host ?? '').split(':')[0];
  inFlight.set(host, (inFlight.get(host) ?? 0) + 1);
  fs.writeSync(log, `${host} ${req.url} ${Math.round(performance.now())} ${inFlight.get(host)}\n`);
  res.on('close', () => inFlight.set(host, inFlight.get(host) - 1));
  (hosts[host] ?? none)(req.url, res);
});
server.listen(Number(process.argv[3] ?? 0), '0.0.0.0', () => {
  port = server.address().port;
  console.log(port);
});
