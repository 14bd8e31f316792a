// A headless Chromium, driven through its DevTools protocol over a pipe: no port, no library.
//
//   const browser = await startBrowser(folder);          // its profile and its messages lie below `folder`
//   const page = await browser.open(url, {width: 390});
//   page.said                                            // console messages, exceptions and log entries, as texts
//   page.requests                                        // URLs asked for, the page's own and data: left out
//   await page.evaluate(() => document.title)
//   await browser.close();
import {spawn} from 'node:child_process';
import {createWriteStream} from 'node:fs';
import {join} from 'node:path';

const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
  '--no-default-browser-check', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-extensions', '--disable-default-apps', '--hide-scrollbars', '--remote-debugging-pipe'];

// Messages are JSON texts that end with a NUL byte: file 3 towards the browser, file 4 back.
class Wire {
  constructor(child) {
    this.out = child.stdio[3];
    this.waiting = new Map();
    this.listeners = [];
    this.n = 0;
    let rest = '';
    child.stdio[4].setEncoding('utf8').on('data', (text) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop();
      for (const part of parts) this.take(JSON.parse(part));
    });
    const fail = () => this.waiting.forEach(({reject}) => reject(new Error('the browser ended')));
    child.on('exit', fail);
    this.out.on('error', fail);
  }

  take(message) {
    const call = this.waiting.get(message.id);
    if (!call) return this.listeners.forEach((listener) => listener(message));
    this.waiting.delete(message.id);
    if (message.error) call.reject(new Error(message.error.message));
    else call.resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.n;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, {resolve, reject});
      this.out.write(JSON.stringify({id, method, params, sessionId}) + '\0');
    });
  }
}

function describe(event) {
  const {method, params} = event;
  if (method === 'Runtime.consoleAPICalled')
    return `console.${params.type}: ${params.args.map((a) => a.value ?? a.description).join(' ')}`;
  if (method === 'Runtime.exceptionThrown')
    return `exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`;
  if (method === 'Log.entryAdded') return `${params.entry.level}: ${params.entry.text} ${params.entry.url ?? ''}`;
  return null;
}

class Page {
  constructor(wire, sessionId, url) {
    Object.assign(this, {wire, sessionId, said: [], requests: []});
    this.loaded = new Promise((resolve) => {
      wire.listeners.push((event) => {
        if (event.sessionId !== sessionId) return;
        const text = describe(event);
        if (text) this.said.push(text);
        const asked = event.method === 'Network.requestWillBeSent' && event.params.request.url;
        if (asked && asked !== url && !asked.startsWith('data:')) this.requests.push(asked);
        if (event.method === 'Page.loadEventFired') resolve();
      });
    });
  }

  send(method, params) { return this.wire.send(method, params, this.sessionId); }

  async evaluate(code, ...args) {
    const expression = `(${code})(...${JSON.stringify(args)})`;
    const {result, exceptionDetails} = await this.send('Runtime.evaluate', {expression, returnByValue: true});
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  resize(width, height = 900) {
    return this.send('Emulation.setDeviceMetricsOverride', {width, height, deviceScaleFactor: 1, mobile: width < 600});
  }

  // PNG bytes of a part of the page, in CSS pixels.
  async picture(clip) {
    const {data} = await this.send('Page.captureScreenshot', {format: 'png', captureBeyondViewport: true,
      clip: {x: 0, scale: 1, ...clip}});
    return Buffer.from(data, 'base64');
  }
}

export async function startBrowser(folder, program = 'chromium') {
  const child = spawn(program, [...flags, `--user-data-dir=${join(folder, 'chromium')}`, 'about:blank'],
    {stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'], env: {...process.env, HOME: folder}});
  const log = createWriteStream(join(folder, 'chromium.log'));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const wire = new Wire(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    async open(url, {width = 1200, height = 900, dark = false} = {}) {
      const {targetId} = await wire.send('Target.createTarget', {url: 'about:blank'});
      const {sessionId} = await wire.send('Target.attachToTarget', {targetId, flatten: true});
      const page = new Page(wire, sessionId, url);
      for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
      await page.resize(width, height);
      await page.send('Emulation.setEmulatedMedia',
        {features: [{name: 'prefers-color-scheme', value: dark ? 'dark' : 'light'}]});
      await page.send('Page.navigate', {url});
      await page.loaded;
      return page;
    },
    async close() {
      wire.send('Browser.close').catch(() => {});
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(timer);
    },
  };
}
