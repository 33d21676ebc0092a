// A person opens the address in a browser: the page says what is running, and
// its chat works.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { openBrowser } from './lib/browser.mjs';
import { start } from './lib/server.mjs';

let server, browser;
before(async () => {
  server = await start();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server.stop(), 0);
});

async function openPage(url) {
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith(server.url.replace('http', 'ws'))) problems.push(`request to ${request.url()}`);
  });
  await page.goto(url);
  return { page, problems };
}

it('shows what is running, chats, runs a workflow and watches the log', async () => {
  const { page, problems } = await openPage(`${server.url}/#token=${server.tokens.admin}`);
  await page.getByText('Ready, version').waitFor();
  await page.getByText('You are admin in default.').waitFor();
  assert.equal(new URL(page.url()).hash, '', 'the token leaves the address');

  await page.getByLabel('Message').fill('run Add numbers with a=2, b=3');
  await page.keyboard.press('Enter');
  await page.getByText('I can run "Add numbers"').waitFor();
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('is COMPLETED: {"sum":5}').waitFor();

  await page.getByRole('button', { name: 'Run Add numbers' }).click();
  await page.getByText('run COMPLETED').waitFor();
  await page.getByRole('button', { name: 'Run Order approval' }).click();
  await page.getByText('Approve an order of 1200?').waitFor();
  await page.getByRole('button', { name: 'Answer' }).click();
  await page.getByText('run COMPLETED').waitFor();
  await page.locator('#lines').getByText('run finished').first().waitFor();

  // The conversation is there again after a reload.
  await page.reload();
  await page.getByText('is COMPLETED: {"sum":5}').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Approve' }).isVisible(), false);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
  assert.deepEqual(problems, []);
  await page.close();
});

it('shows a member nothing of what the administrator saw', async () => {
  const { page } = await openPage(`${server.url}/#token=${server.tokens.admin}`);
  await page.locator('#lines').getByText('server is ready').waitFor();
  await page.getByLabel('Token or API key').fill(server.tokens.member);
  await page.getByRole('button', { name: 'Connect' }).click();
  await page.getByText('You are member in default.').waitFor();
  assert.equal(await page.locator('#monitor').isVisible(), false);
  assert.equal(await page.locator('#lines li').count(), 0);
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.equal(await page.getByText('You are member').isVisible(), false);
  await page.close();
});

it('has no token in the page, and says so when one is wrong', async () => {
  const html = await (await fetch(server.url)).text();
  assert.doesNotMatch(html, /eyJ/);
  const { page } = await openPage(server.url);
  await page.getByLabel('Token or API key').fill('rubbish');
  await page.getByRole('button', { name: 'Connect' }).click();
  await page.getByText('User auth token is not valid').waitFor();
  await page.close();
});
