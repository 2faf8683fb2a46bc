// Opens the console in headless Chromium and does what a person does there. Its one argument is JSON; ends with "all seen", or with what was not.
import assert from "node:assert/strict";
import {chromium} from "playwright-core";

const given = JSON.parse(process.argv[2]);
const browser = await chromium.launch({executablePath: given.browser, args: ["--no-sandbox"]});

async function open(width, height, colorScheme) {
  const context = await browser.newContext({viewport: {width, height}, colorScheme, locale: "en-GB", timezoneId: "UTC"});
  const page = await context.newPage();
  const elsewhere = [];
  page.on("request", (request) => new URL(request.url()).origin === new URL(given.url).origin || request.url().startsWith("data:") || elsewhere.push(request.url()));
  page.on("pageerror", (error) => elsewhere.push(`script: ${error.message}`));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && elsewhere.push(message.text()));
  await page.goto(given.url);
  return {page, elsewhere, context};
}

const heading = (page, text) => page.locator("main h1", {hasText: text}).waitFor().catch(async () => {
  throw new Error(`no heading ${text} at ${page.url()}, but: ${await page.locator("main").innerText()}`);
});
const cell = (page, text) => page.locator("td", {hasText: text}).first().waitFor().catch(async () => {
  throw new Error(`no ${text} at ${page.url()}, but: ${await page.locator("main").innerText()}`);
});
const picture = (page, name) => page.screenshot({path: `${given.pictures}/${name}.png`, fullPage: true});
const fits = async (page) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} is wider than the window`);

/* Text that is hard to read: a ratio below that of WCAG 2.1, 1.4.3. */
const pale = (page) => page.evaluate(() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((one) => one / 255)
    .map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4).reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) {
        return colour;
      }
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (own && element.checkVisibility() && !element.closest("svg") && !["SCRIPT", "STYLE"].includes(element.tagName)) {
      const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((one, other) => other - one);
      if ((a + 0.05) / (b + 0.05) < 4.5) {
        found.push(`${element.tagName} ${element.textContent.trim().slice(0, 40)}`);
      }
    }
  }
  return found;
});

/* Every control has a name that a screen reader says. */
const nameless = (page) => page.evaluate(() => [...document.querySelectorAll("input, button, a[href], svg, select")]
  .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length))
  .map((one) => one.outerHTML.slice(0, 80)));

async function look(page, name) {
  await fits(page);
  assert.deepEqual(await pale(page), []);
  assert.deepEqual(await nameless(page), []);
  await picture(page, name);
}

for (const [size, width, height, scheme] of [["wide", 1280, 800, "light"], ["narrow", 360, 740, "dark"]]) {
  const {page, elsewhere, context} = await open(width, height, scheme);
  const at = async (where, title) => {
    await page.goto(`${given.url}#${where}`);
    await heading(page, title);
  };

  // Without a token nothing but the question for one; a wrong one is refused.
  await page.locator("#token").waitFor();
  await look(page, `${size}-sign-in`);
  await page.keyboard.type("not a token");
  await page.keyboard.press("Enter");
  await page.locator("#told", {hasText: "not accepted"}).waitFor();
  await page.locator("#token").fill(given.token);
  await page.keyboard.press("Enter");
  await heading(page, "Overview");
  await page.locator("svg[role=img]").waitFor();
  await page.locator("#health", {hasText: "ok"}).waitFor();
  await look(page, `${size}-overview`);

  // The search, by keyboard: in another spelling.
  await page.locator("#query").focus();
  await page.keyboard.type("cf2230949044");
  await page.keyboard.press("Enter");
  await heading(page, given.number);
  await page.locator("dd", {hasText: "<img src=x"}).waitFor(); // shown, not made
  assert.equal(await page.locator("main img").count(), 0);
  assert.equal(await page.locator('a[href^="javascript"]').count(), 0);

  // An order with its timeline, and why it says so.
  await page.locator("#query").fill(given.done.toLowerCase());
  await page.keyboard.press("Enter");
  await heading(page, given.done);
  assert.equal(await page.locator(".timeline li").count(), 3);
  await page.locator("details summary", {hasText: "Why"}).click();
  await cell(page, "parcel.delivered");
  await look(page, `${size}-order`);

  await at("/silent", "Silent parcels");
  await cell(page, given.silent);
  assert.equal(await page.locator("td", {hasText: given.gap}).count(), 0);
  await look(page, `${size}-silent`);
  await page.locator("#days").fill("30");
  await page.keyboard.press("Enter");
  await page.locator("h2", {hasText: "30 days"}).waitFor();
  assert.equal(await page.locator("td", {hasText: given.silent}).count(), 0);

  await at("/problems", "Refused and conflicting");
  await cell(page, "parcel.teleported");
  await look(page, `${size}-problems`);
  await at("/gaps", "Suspected gaps");
  await cell(page, given.gap);
  await look(page, `${size}-gaps`);
  await at("/changes", "Changes as they come");
  await look(page, `${size}-changes`);
  await at("/orders/crossborderly/nothing", "Not found");
  await at("/nowhere", "There is no such page");

  // The sandbox is another world.
  await at("/", "Overview");
  await page.locator("#sandbox").check();
  await at(`/find?q=${given.done}`, "Orders for");
  await page.locator("main", {hasText: "in the sandbox"}).waitFor();
  await page.locator("#sandbox").uncheck();
  await heading(page, given.done);

  // With the keyboard alone: past the header to the content, and every stop is seen.
  await page.goto("about:blank");
  await page.goto(given.url);
  await heading(page, "Overview");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  for (let stops = 0; stops < 12; stops++) {
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(ring, "none");
    await page.keyboard.press("Tab");
  }

  // The token is this tab's, until it is forgotten.
  const second = await context.newPage();
  await second.goto(given.url);
  await second.locator("#token").waitFor();
  await second.close();
  await page.locator("#leave").click();
  await page.locator("#token").fill(given.tracking);
  await page.keyboard.press("Enter");
  await heading(page, "Overview");
  await at(`/orders/crossborderly/${given.done}`, given.done);
  assert.equal(await page.locator("dt", {hasText: "Signed by"}).count(), 0);

  assert.deepEqual(elsewhere, []);
  await context.close();
}
await browser.close();
console.log("all seen");
