// Opens pages in Chromium and says what is wrong with them.
//
// In goes a JSON object on standard input: the browser's path, an empty profile
// directory, pages with their paths, and a directory for pictures. Out comes a
// JSON object: for each page a list of faults, and figures.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const order = JSON.parse(readFileSync(0, 'utf8'));
const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// A persistent context has the empty directory as its profile.
const context = await chromium.launchPersistentContext(order.profile, { executablePath: order.chromium, args, headless: true, viewport: { width: 1280, height: 900 } });
const picture = (tab, name, fullPage = true) => tab.screenshot({ path: path.join(order.pictures, name + '.png'), fullPage });
const out = { browser: context.browser()?.version() ?? '', pages: {} };

for (const page of order.pages) {
  const faults = [];
  const figures = {};
  out.pages[page.name] = { faults, figures };
  try {
    await check(page, faults, figures);
  } catch (e) {
    faults.push(`the check broke off: ${e.message}`);
  }
}
await context.close();
console.log(JSON.stringify(out));

async function open(file, faults, options = {}) {
  const url = pathToFileURL(file).href;
  const tab = await context.newPage();
  tab.setDefaultTimeout(60_000);
  tab.on('console', (m) => faults.push(`console ${m.type()}: ${m.text()}`));
  tab.on('pageerror', (e) => faults.push(`error: ${e.message}`));
  tab.on('request', (r) => { if (r.url().split('#')[0] !== url) faults.push(`a request to ${r.url()}`); });
  await tab.setViewportSize({ width: options.width ?? 1280, height: options.height ?? 900 });
  await tab.emulateMedia({ colorScheme: options.scheme ?? 'light', media: options.media ?? 'screen', reducedMotion: 'reduce' });
  await tab.goto(url + (options.hash ?? ''), { waitUntil: 'load' });
  return tab;
}

async function audit(tab, what, faults) {
  await tab.evaluate(axe);
  const result = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  for (const v of result.violations) faults.push(`axe, ${what}: ${v.id} (${v.help}) at ${v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' ' + n.failureSummary.split('\n').slice(-1)).join('; ')}`);
}

async function check(page, faults, figures) {
  const tab = await open(page.path, faults);
  const timing = await tab.evaluate(() => { const n = performance.getEntriesByType('navigation')[0]; return { load: n.loadEventEnd, interactive: n.domInteractive }; });
  Object.assign(figures, timing);
  if (page.only) {
    // One thing alone: a page that was spoiled shows it there or nowhere.
    const one = { open: () => {}, audit, links, language, anchors, widths: () => widths(page, faults) }[page.only];
    await one(...(page.only === 'audit' ? [tab, 'light', faults] : [tab, faults]));
    await tab.close();
    return;
  }
  if (page.heavy) { // what is asked of all pages takes minutes on a very long one
    await graph(tab, faults);
    await tab.close();
    return;
  }
  await picture(tab, page.name + '-light');
  await audit(tab, 'light', faults);
  if (page.plain) {
    await anchors(tab, faults);
    await regions(tab, faults);
    await tab.close();
    await dark(page, faults);
    await widths(page, faults);
    await print(page, faults);
    return;
  }
  await links(tab, faults);
  await graph(tab, faults);
  await tables(tab, faults);
  await copying(tab, faults);
  await language(tab, faults);
  await audit(tab, 'in Chinese', faults);
  await picture(tab, page.name + '-chinese');
  await tab.close();

  await dark(page, faults);
  await widths(page, faults);
  await print(page, faults);
  await scriptless(page, faults);
}

async function dark(page, faults) {
  const tab = await open(page.path, faults, { scheme: 'dark' });
  await audit(tab, 'dark', faults);
  await picture(tab, page.name + '-dark');
  await tab.close();
}

async function print(page, faults) {
  const tab = await open(page.path, faults, { media: 'print', width: 900 });
  const hidden = await tab.evaluate(() => [...document.querySelectorAll('figure svg')].filter((e) => !e.closest('details') && e.getBoundingClientRect().height === 0).length);
  if (hidden) faults.push(`${hidden} drawings are missing in print`);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
  if (page.plain && wide > 900) faults.push(`in print at 900 pixels the page is ${wide} wide`);
  await picture(tab, page.name + '-print');
  await tab.close();
}

// Links within the page lead somewhere, and what they lead to is in sight.
async function anchors(tab, faults) {
  for (const link of await tab.locator('a[href^="#"]').all()) {
    const href = await link.getAttribute('href');
    await tab.evaluate((h) => { location.hash = h; }, href);
    const state = await tab.evaluate(() => {
      const r = document.querySelector(':target')?.getBoundingClientRect();
      return r ? { seen: r.bottom > 0 && r.top < innerHeight } : null;
    });
    if (!state) faults.push(`the link ${href} leads nowhere`);
    else if (!state.seen) faults.push(`what ${href} leads to is not in sight`);
  }
}

// What scrolls can be reached and scrolled by keys.
async function regions(tab, faults) {
  const bad = await tab.evaluate(() => [...document.querySelectorAll('*')].filter((e) => {
    const s = getComputedStyle(e);
    return (e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(s.overflowX) || e.scrollHeight > e.clientHeight + 1 && /auto|scroll/.test(s.overflowY)) && e.tabIndex < 0;
  }).map((e) => e.tagName + '.' + e.className));
  if (bad.length) faults.push(`no key scrolls ${bad.join(', ')}`);
}

async function widths(page, faults) {
  for (const width of [320, 768, 3840]) {
    const sized = await open(page.path, faults, { width, height: 800 });
    const wide = await sized.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) faults.push(`at ${width} pixels the page is ${wide} wide`);
    if (width === 320) await picture(sized, page.name + '-narrow');
    await sized.close();
  }
}

// A sentence of the evidence leads to its packet, which stands out.
async function links(tab, faults) {
  const link = tab.locator('ol.proofs.numbered a.frame').first();
  if (await link.count() === 0) return;
  await link.click();
  const state = await tab.evaluate(() => {
    const target = document.querySelector(':target');
    if (!target) return 'nothing';
    const r = target.getBoundingClientRect(), cell = target.cells?.[0] ?? target;
    return { seen: r.top >= 0 && r.bottom <= innerHeight && r.height > 0, plain: getComputedStyle(cell).backgroundColor, other: getComputedStyle(document.body).backgroundColor };
  });
  if (state === 'nothing') faults.push('the link of the evidence leads nowhere');
  else if (!state.seen) faults.push('the packet that the evidence names is not in sight');
  else if (state.plain === state.other) faults.push('the packet that the evidence names does not stand out');
  // A mark in a drawing leads there as well.
  const mark = await tab.evaluate(() => {
    const a = [...document.querySelectorAll('section.conn svg.tsg a')].find((e) => e.querySelector('.halo'));
    return a ? document.getElementById(a.getAttribute('href').slice(1)) !== null : true;
  });
  if (!mark) faults.push('a mark of the graph leads nowhere');
}

// Pointing shows a packet; keys and dragging look closer.
async function graph(tab, faults) {
  const svg = tab.locator('section.conn svg.tsg').first();
  if (await svg.count() === 0) return;
  await svg.scrollIntoViewIfNeeded();
  const box = await svg.boundingBox();
  const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
  await tab.mouse.move(...at(0.5, 0.4));
  const tip = tab.locator('#tip');
  if (!(await tip.isVisible())) faults.push('pointing at the graph shows nothing');
  else if (!/^#\d+/.test(await tip.textContent())) faults.push(`pointing at the graph shows ${await tip.textContent()}`);
  const zoom = () => svg.evaluate((e) => Number(e.dataset.zoom ?? 1));
  await svg.focus();
  await tab.keyboard.press('+');
  if (await zoom() <= 1) faults.push('+ does not zoom in');
  if (await svg.locator('.zoomed text').count() < 2) faults.push('a closer look has no axis');
  await tab.keyboard.press('0');
  if (await zoom() !== 1) faults.push('0 does not zoom out');
  await tab.keyboard.press('Home');
  if (!(await tip.isVisible())) faults.push('the arrow keys show nothing');
  const first = await tip.textContent();
  await tab.keyboard.press('ArrowRight');
  const several = await svg.evaluate((e) => JSON.parse(e.closest('.conn').querySelector('script.packets').textContent).packets.f.length > 1);
  if (several && await tip.textContent() === first) faults.push('the arrow keys do not go on');
  await tab.mouse.move(...at(0.3, 0.3));
  await tab.mouse.down();
  await tab.mouse.move(...at(0.6, 0.6), { steps: 4 });
  await tab.mouse.up();
  if (await zoom() <= 1.5) faults.push('dragging does not zoom in');
  await svg.dispatchEvent('dblclick');
  if (await zoom() !== 1) faults.push('a double click does not zoom out');
  await tab.keyboard.press('Escape');
}

async function tables(tab, faults) {
  const table = tab.locator('#t-connections');
  if (await table.count() === 0) return;
  const head = table.locator('thead th').nth(7);
  const values = () => table.evaluate((t) => [...t.tBodies[0].rows].map((r) => Number(r.cells[7].dataset.v)));
  await head.locator('button').click();
  const up = await values();
  if (up.some((v, i) => i > 0 && v < up[i - 1]) || await head.getAttribute('aria-sort') !== 'ascending') faults.push(`sorted: ${up}`);
  await head.locator('button').click();
  const down = await values();
  if (down.some((v, i) => i > 0 && v > down[i - 1]) || await head.getAttribute('aria-sort') !== 'descending') faults.push(`sorted the other way: ${down}`);
  const find = tab.locator('.find input');
  await find.fill('no-such-connection');
  const shown = () => table.evaluate((t) => [...t.tBodies[0].rows].filter((r) => !r.hidden).length);
  if (await shown() !== 0 || !(await tab.locator('.find .none').isVisible())) faults.push('the filter lets everything through');
  await find.fill('');
  if (await shown() !== up.length) faults.push('the filter keeps rows back');
}

async function copying(tab, faults) {
  const button = tab.locator('.filters .copy').first();
  if (await button.count() === 0) return;
  await button.click();
  await tab.waitForFunction((b) => b.classList.contains('copied'), await button.elementHandle()).catch(() => faults.push('the copy button does not say that it copied'));
}

async function language(tab, faults) {
  const text = () => tab.evaluate(() => document.querySelector('#evidence, #connections, #capture').innerText.trim());
  const before = await text();
  await tab.locator('label[for="lang-zh"]').click();
  if (await tab.evaluate(() => document.documentElement.lang) !== 'zh-Hans') faults.push('the page does not say that it is Chinese');
  const after = await text();
  if (after === before || !/\p{Script=Han}/u.test(after)) faults.push(`in Chinese a heading is ${after}`);
  const both = await tab.evaluate(() => [...document.querySelectorAll('.t, svg text[lang]')].filter((e) => e.lang === 'en' && e.getClientRects().length).length);
  if (both) faults.push(`${both} English texts show in Chinese`);
}

// Without its script the page is complete.
async function scriptless(page, faults) {
  const tab = await open(page.path, faults);
  const session = await context.newCDPSession(tab);
  await session.send('Emulation.setScriptExecutionDisabled', { value: true });
  await tab.reload({ waitUntil: 'load' });
  const { root } = await session.send('DOM.getDocument', { depth: 0 });
  const count = async (selector) => (await session.send('DOM.querySelectorAll', { nodeId: root.nodeId, selector })).nodeIds.length;
  for (const selector of ['h1', 'table tbody tr', '#capture', '#environment']) if (await count(selector) === 0) faults.push(`without script there is no ${selector}`);
  if (page.drawn && await count('svg.seq .step') === 0) faults.push('without script there is no diagram');
  if (await count('html') !== 1) faults.push('without script the page is no page');
  await picture(tab, page.name + '-scriptless', false);
  // The language is switched by the style sheet.
  await tab.mouse.click(...await middle(session, root, 'label[for="lang-zh"]'));
  await picture(tab, page.name + '-scriptless-chinese', false);
  const shown = async (selector) => {
    const { nodeIds } = await session.send('DOM.querySelectorAll', { nodeId: root.nodeId, selector });
    let n = 0;
    for (const nodeId of nodeIds.slice(0, 40)) if (await session.send('DOM.getBoxModel', { nodeId }).then(() => true, () => false)) n++;
    return n;
  };
  if (await shown('h1 .t[lang="en"], h2 .t[lang="en"]') > 0 || await shown('h2 .t[lang="zh-Hans"]') === 0) faults.push('without script the language cannot be switched');
  await tab.close();
}

async function middle(session, root, selector) {
  const { nodeId } = await session.send('DOM.querySelector', { nodeId: root.nodeId, selector });
  const { model } = await session.send('DOM.getBoxModel', { nodeId });
  return [(model.content[0] + model.content[4]) / 2, (model.content[1] + model.content[5]) / 2];
}
