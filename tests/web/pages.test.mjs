// The pages of the demo's nodes in a real Chromium: every page and drill-down in both languages, signing in and being
// refused, by keyboard only, without JavaScript, and what axe finds. Run by tests/web/run.sh.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = process.env.LIENTHONG_PICTURES;
const folder = mkdtempSync(join(tmpdir(), 'lienthong-pages-'));
let demo, result, browser;
const links = new Map();

// The demo: its figures on stdout, its links on stderr.
before(async () => {
  demo = spawn(process.env.LIENTHONG_BIN, ['demo', '--keep', '--format', 'json', '--data', join(folder, 'demo')]);
  let figures = '', said = '';
  demo.stdout.on('data', (data) => (figures += data));
  await new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`the demo does not serve: ${said}`)), 240_000);
    demo.stderr.on('data', (data) => {
      said += data;
      if (said.includes('serving on')) resolve(clearTimeout(limit));
    });
    demo.on('exit', (code) => reject(new Error(`the demo ended with ${code}: ${said}`)));
  });
  result = JSON.parse(figures);
  for (const [, node, link] of said.matchAll(/^ {2}([\w-]+): (https:\S+)$/gm)) links.set(node, link);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
});

after(async () => {
  await browser?.close();
  if (demo && demo.exitCode === null) {
    const ended = new Promise((resolve) => demo.on('exit', resolve));
    demo.kill('SIGINT');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

const origin = (node) => new URL(links.get(node)).origin;
const province = 'binh-duong';
const sessions = new Map();

// A visitor who is signed in to a node: the link works once, so the session is kept.
async function visitor(node, options = {}) {
  if (!sessions.has(node)) {
    const first = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await first.newPage();
    await page.goto(links.get(node));
    await page.click('main button');
    await page.waitForURL('**/overview');
    sessions.set(node, await first.storageState());
    await first.close();
  }
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 900 },
    storageState: sessions.get(node),
    ...options,
  });
  const page = await context.newPage();
  page.problems = [];
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && page.problems.push(m.text()));
  page.on('pageerror', (e) => page.problems.push(String(e)));
  page.on('request', (r) => r.url().startsWith(origin(node)) || page.problems.push(`asks ${r.url()}`));
  return page;
}

async function language(page, code) {
  await page.context().addCookies([{ name: 'lang', value: code, url: new URL(page.url()).origin }]);
}

// What keeps somebody from reading or using the page.
async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((v) => ['serious', 'critical', 'moderate'].includes(v.impact));
  const told = serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
  return told.map((finding) => `${where}: ${finding}`);
}

// A number as a page of a language writes it.
const number = (n, lang) => String(n).replace(/\B(?=(\d{3})+$)/g, lang === 'vi' ? '.' : ',');

async function everyPage(page, lang) {
  const address = new URL(page.url()).origin;
  const first = async (list, selector) => {
    await page.goto(address + list);
    return page.getAttribute(selector, 'href');
  };
  const paths = [
    '/overview',
    '/overview?period=2016-Q2',
    '/overview?period=2016&basis=documents',
    '/overview?period=all',
    '/agencies?period=2016',
    '/agencies?period=2016&level=department&sort=outside&order=up',
    await first('/agencies?period=2016', 'tbody th a'),
    '/exchange',
    '/documents',
    '/documents?way=in&agency=H09.11',
    await first('/documents?way=in', 'tbody th a'),
    '/audit',
    '/audit?kind=paper_entered&agency=H09',
    await first('/audit?kind=settled', 'tbody th a'),
    '/node',
  ];
  const findings = [];
  for (const path of paths) {
    const answer = await page.goto(address + path);
    assert.equal(answer.status(), 200, path);
    assert.equal(await page.getAttribute('html', 'lang'), lang, path);
    assert.notEqual((await page.textContent('h1')).trim(), '', path);
    assert.equal(await page.locator('header nav a[aria-current]').count(), 1, path);
    findings.push(...(await accessible(page, `${path} (${lang})`)));
    if (pictures) {
      const name = path.slice(1).replace(/[^\w-]+/g, '_').slice(0, 60);
      mkdirSync(pictures, { recursive: true });
      await page.screenshot({ path: join(pictures, `${lang}-${name}.png`), fullPage: true });
    }
  }
  assert.deepEqual(findings, []);
  assert.deepEqual(page.problems, []);
}

test('nobody gets in without a certificate or a session, and a link works once', async () => {
  const page = await visitor(province);
  const link = links.get(province);
  const stranger = await browser.newContext({ ignoreHTTPSErrors: true });
  const other = await stranger.newPage();
  for (const path of ['/', '/overview', '/documents', '/paper', '/audit/0']) {
    await other.goto(origin(province) + path);
    assert.equal(new URL(other.url()).pathname, '/sign-in', path);
  }
  assert.deepEqual(await accessible(other, '/sign-in'), []);
  assert.equal((await other.goto(link)).status(), 410);
  assert.equal((await other.goto(`${origin(province)}/sign-in/guessed`)).status(), 410);
  assert.deepEqual(await accessible(other, 'a link that no longer works'), []);
  await stranger.close();
  // What the administrator may not: an agency's paper register.
  await page.goto(`${origin(province)}/overview`);
  assert.equal((await page.goto(`${origin(province)}/paper`)).status(), 403);
  assert.match(await page.textContent('main'), /not_allowed/);
  assert.deepEqual(await accessible(page, 'a refusal'), []);
  await page.context().close();
});

for (const lang of ['vi', 'en']) {
  test(`every page and drill-down can be read by everybody (${lang})`, async () => {
    const page = await visitor(province);
    await page.goto(`${origin(province)}/overview`);
    await language(page, lang);
    await everyPage(page, lang);
    await page.context().close();
  });
}

test('the language is switched on the page, and the page stays', async () => {
  const page = await visitor(province);
  await page.goto(`${origin(province)}/agencies?period=2016&level=department`);
  await page.click('header button[lang=en]');
  assert.equal(new URL(page.url()).search, '?period=2016&level=department');
  assert.equal(await page.textContent('h1'), 'Agencies');
  await page.click('header button[lang=vi]');
  assert.equal(await page.textContent('h1'), 'Cơ quan');
  await page.context().close();
});

test('the pages show what the table shows', async () => {
  const ratios = ['fully_electronic', 'legally_effective', 'dual', 'paper_only', 'any_electronic', 'undelivered',
    'pending', 'signed', 'scanned', 'avoidable_paper', 'on_time', 'acknowledged_same_day'];
  const scopes = ['in_province', 'in_province/up', 'in_province/down', 'in_province/horizontal', 'internal', 'outside'];
  const sums = {};
  for (const node of links.keys()) {
    const page = await visitor(node);
    await page.goto(`${origin(node)}/overview?period=all`);
    const said = result.nodes.find((n) => n.name === node).ratios;
    const table = page.locator('main h2', { hasText: 'Mọi tỷ lệ' }).locator('xpath=following-sibling::div[1]');
    for (const [row, name] of ratios.entries()) {
      for (const [column, scope] of scopes.entries()) {
        const cell = table.locator('tbody tr').nth(row + 1).locator('td').nth(column);
        const [part, percent] = [await cell.locator('.part').textContent(), await cell.locator('.percent').textContent()];
        const { n, d, percent: value } = said[scope][name];
        assert.equal(part, `${number(n, 'vi')}/${number(d, 'vi')}`, `${node} ${scope} ${name}`);
        const shown = value === null ? 'n/a' : `${value.toFixed(2).replace('.', ',')} %`;
        assert.equal(percent, shown, `${node} ${scope} ${name}`);
        const sum = ((sums[scope] ??= {})[name] ??= { n: 0, d: 0 });
        sum.n += n;
        sum.d += d;
      }
    }
    await page.context().close();
  }
  for (const scope of scopes) {
    for (const name of ratios) {
      const { n, d } = result.ratios[scope][name];
      assert.deepEqual(sums[scope][name], { n, d }, `${scope} ${name}: all pages together`);
    }
  }
});

test('everything is reached and done by keyboard only', async () => {
  const page = await visitor(province);
  await page.goto(`${origin(province)}/overview`);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  // The first stop leads past the navigation.
  await page.keyboard.press('Tab');
  assert.match(await focused(), /Đến nội dung/);
  await page.keyboard.press('Enter');
  assert.equal(new URL(page.url()).hash, '#main');
  await page.goto(`${origin(province)}/overview`);
  const tabTo = async (text) => {
    for (let i = 0; i < 200; i += 1) {
      await page.keyboard.press('Tab');
      if ((await focused()) === text) return;
    }
    assert.fail(`${text} is not reached by Tab`);
  };
  // The table behind a chart.
  await tabTo('Bảng số liệu');
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('details[open] table').first().isVisible());
  await page.goto(`${origin(province)}/overview`);
  await tabTo('Cơ quan');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/agencies');
  await page.goto(`${origin(province)}/agencies?period=2016`);
  await tabTo('Số gửi');
  await page.keyboard.press('Enter');
  await page.waitForURL(/sort=deliveries/);
  assert.equal(await page.getAttribute('th[aria-sort]', 'aria-sort'), 'descending');
  // A search.
  await page.goto(`${origin(province)}/documents`);
  await page.focus('input[name=agency]');
  await page.keyboard.type('H09.11');
  await page.keyboard.press('Enter');
  await page.waitForURL(/agency=H09.11/);
  assert.ok((await page.locator('tbody tr').count()) > 0);
  await page.context().close();
});

test('everything works without JavaScript', async () => {
  const page = await visitor(province, { javaScriptEnabled: false });
  for (const [path, text] of [['/overview', 'Tổng quan'], ['/agencies?period=2016', 'Cơ quan'], ['/audit', 'Kiểm tra']]) {
    await page.goto(origin(province) + path);
    assert.equal(await page.textContent('h1'), text);
  }
  await page.goto(`${origin(province)}/documents`);
  await page.click('tbody th a');
  assert.match(await page.textContent('h1'), /^Văn bản /);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('main form[method=post] button')]);
  assert.match(download.suggestedFilename(), /^[0-9a-f]{12}\.asice$/);
  await page.click('header button[lang=en]');
  assert.match(await page.textContent('h1'), /^Document /);
  await page.context().close();
});

test('somebody of an agency keeps its paper register', async () => {
  const config = join(folder, 'demo', province, 'lienthong.toml');
  const link = await new Promise((resolve, reject) => {
    const args = ['web-login', '--config', config, '--for', 'dms', '--user', 'van.thu'];
    const command = spawn(process.env.LIENTHONG_BIN, args);
    let out = '', err = '';
    command.stdout.on('data', (data) => (out += data));
    command.stderr.on('data', (data) => (err += data));
    command.on('exit', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(err))));
  });
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(link);
  assert.match(await page.textContent('main'), /van\.thu/);
  await page.click('main button');
  await page.goto(`${origin(province)}/paper?agency=H09.11`);
  assert.deepEqual(await accessible(page, '/paper'), []);
  await page.fill('form[method=post] input[name=number]', '4321');
  await page.fill('form[method=post] input[name=notation]', 'CV-STTTT');
  await page.click('form[action="/paper"][method=post] button');
  // What was wrong, and what was filled in.
  assert.match(await page.textContent('[role=alert]'), /no_recipient/);
  assert.equal(await page.inputValue('form[method=post] input[name=number]'), '4321');
  assert.deepEqual(await accessible(page, '/paper, refused'), []);
  await page.fill('form[method=post] input[name=recipient]', 'H09');
  await page.click('form[action="/paper"][method=post] button');
  await page.waitForURL(/done=\d+/);
  assert.match(await page.locator('tbody tr').first().textContent(), /4321\/CV-STTTT/);
  await page.click('tbody tr a');
  await page.fill('form[method=post] input[name=type_name]', 'tờ trình');
  await page.click('form[action="/paper"][method=post] button.main');
  await page.waitForURL(/done=\d+/);
  assert.match(await page.locator('tbody tr').first().textContent(), /tờ trình.*còn hiệu lực/s);
  assert.match(await page.locator('tbody tr').nth(1).textContent(), /đã sửa hoặc rút/);
  // The same in English: the form, the register, and a refusal.
  await page.click('header button[lang=en]');
  assert.equal(await page.getAttribute('html', 'lang'), 'en');
  assert.deepEqual(await accessible(page, '/paper (en)'), []);
  await page.goto(`${origin(province)}/paper?agency=H09.11`);
  await page.fill('form[method=post] input[name=number]', '4322');
  await page.fill('form[method=post] input[name=notation]', 'CV-STTTT');
  await page.click('form[action="/paper"][method=post] button');
  assert.match(await page.textContent('[role=alert]'), /no_recipient/);
  assert.deepEqual(await accessible(page, '/paper, refused (en)'), []);
  await context.close();
});
