"use strict";
// Shows the page as it is now while somebody looks at it, and times by the clock of the reader.
// What the server sent last is kept, and compared with what it sends next: only what differs is
// touched, so that focus, scroll, what is unfolded and what is marked stay.

const INTERVAL = 2000;
const PATIENCE = 10000;
const READING = 60000;
const HALF_A_DAY = 12 * 3600 * 1000;
const NEIGHBOURS = 2;
// Below it nothing is read; it is as high whatever it says.
const HEAD = document.querySelector(".top")?.offsetHeight ?? 0;

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const pause = document.getElementById("pause");
const live = "live" in document.body.dataset;
let sent = document.body.cloneNode(true);
let tag = "";

// --- times

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "long", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short" });
// Milliseconds by which the exporter's clock is before this one.
let ahead = 0;

function now() {
  return Date.now() + ahead;
}

function compareClocks(theirs) {
  // Theirs is told in whole seconds, and was on its way.
  if (Math.abs(theirs - now()) > INTERVAL) ahead = theirs - Date.now();
}

function two(number) {
  return String(number).padStart(2, "0");
}

// In the same words as the filter `duration` of the exporter.
function duration(milliseconds) {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function localize(time) {
  const instant = Date.parse(time.dateTime);
  const at = clock.format(instant);
  const ago = document.createElement("span");
  ago.className = "ago";
  const far = now() - instant >= HALF_A_DAY;
  time.replaceChildren(far ? `${day.format(instant)} ${at}` : at, " ", ago);
  count(time);
}

function count(time) {
  const text = `${duration(now() - Date.parse(time.dateTime))} ago`;
  const ago = time.lastElementChild;
  if (ago && ago.textContent !== text) ago.textContent = text;
}

function countAll() {
  if (document.hidden || marked()) return;
  for (const time of document.querySelectorAll("time")) count(time);
}

// --- what differs

function made(node) {
  const copy = document.importNode(node, true);
  if (copy.nodeType !== Node.ELEMENT_NODE) return copy;
  for (const time of copy.matches("time") ? [copy] : copy.querySelectorAll("time")) localize(time);
  return copy;
}

function update(shown, before, after) {
  if (before.isEqualNode(after)) return;
  if (before.nodeName !== after.nodeName || shown.nodeName !== after.nodeName) {
    shown.replaceWith(made(after));
  } else if (shown.nodeType === Node.TEXT_NODE) {
    shown.data = after.data;
  } else if (shown.nodeName === "TIME") {
    shown.replaceWith(made(after));
  } else {
    updateAttributes(shown, before, after);
    if (keyed(before) && keyed(after)) updateById(shown, before, after);
    else updateInOrder(shown, before, after);
  }
}

function updateAttributes(shown, before, after) {
  for (const { name } of before.attributes) {
    if (!after.hasAttribute(name)) shown.removeAttribute(name);
  }
  for (const { name, value } of after.attributes) {
    if (before.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
}

function keyed(parent) {
  return parent.children.length > 0 && Array.from(parent.children).every((child) => child.id);
}

function byId(parent) {
  return new Map(Array.from(parent.children, (child) => [child.id, child]));
}

function updateById(shown, before, after) {
  const [old, wanted, standing] = [byId(before), byId(after), byId(shown)];
  for (const [id, child] of standing) if (!wanted.has(id)) child.remove();
  let place = shown.firstElementChild;
  for (const [id, child] of wanted) {
    let here = standing.get(id);
    if (here && old.has(id)) update(here, old.get(id), child);
    here = here && document.getElementById(id);
    if (here && here === place) {
      place = place.nextElementSibling;
      continue;
    }
    // Of two that have changed places the one is moved, and not all that stand between them.
    if (here && place && place.nextElementSibling === here) {
      shown.append(place);
      place = here.nextElementSibling;
      continue;
    }
    shown.insertBefore(here || made(child), place);
  }
}

function updateInOrder(shown, before, after) {
  const [old, wanted, standing] = [before, after, shown].map((one) => Array.from(one.childNodes));
  const alike =
    old.length === wanted.length &&
    old.length === standing.length &&
    old.every((child, at) => child.nodeName === wanted[at].nodeName);
  if (alike) standing.forEach((child, at) => update(child, old[at], wanted[at]));
  else shown.replaceChildren(...wanted.map(made));
}

// --- where the reader is

let pointed = null;
let pointedAt = 0;

function notePointer(event) {
  pointed = event.pointerType === "mouse" ? event.target : null;
  pointedAt = Date.now();
}

function inView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > HEAD && top < innerHeight;
}

// What is being read: what has the focus or the mouse, or else stands first in what was scrolled to.
function read() {
  const rows = Array.from(main.querySelectorAll("tr[id], main > [id], section > [id]"));
  const pointing = Date.now() - pointedAt < READING ? pointed : null;
  for (const one of [document.activeElement, pointing]) {
    const row = one && one !== main && main.contains(one) && one.closest("tr[id], section > [id]");
    if (row && inView(one)) return near(rows, rows.indexOf(row));
  }
  if (scrollY === 0) return [];
  const first = rows.findIndex((row) => row.getBoundingClientRect().top >= HEAD && inView(row));
  // Of a table whose heading stands first the lines are read.
  const part = rows[first]?.closest("section");
  const line = rows.findIndex((row) => row.nodeName === "TR" && part?.contains(row) && inView(row));
  return near(rows, line < 0 ? first : line);
}

function near(rows, at) {
  if (at < 0) return [];
  const some = rows.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS + 1);
  return some.filter(inView).map((row) => [row, row.getBoundingClientRect().top]);
}

function stay(places) {
  const moved = places
    .filter(([row]) => row.isConnected)
    .map(([row, top]) => row.getBoundingClientRect().top - top)
    .sort((one, other) => one - other);
  // The one in the middle: a row may have changed its place alone.
  const by = moved[Math.floor(moved.length / 2)];
  if (by) scrollBy({ top: by, behavior: "instant" });
}

function show(next) {
  const places = read();
  const focused = document.activeElement?.id;
  if (document.title !== next.title) document.title = next.title;
  update(document.body, sent, next.body);
  sent = next.body;
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  stay(places);
}

// --- following

let timer = 0;
let paused = false;

function marked() {
  return getSelection()?.type === "Range";
}

function say(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

async function refresh() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(location.href, { cache: "no-store", headers, signal });
  const date = Date.parse(answer.headers.get("Date"));
  if (date) compareClocks(date);
  if (answer.status === 304) {
    const asOf = document.querySelector("#as-of time");
    if (asOf && date) {
      asOf.dateTime = new Date(date).toISOString();
      localize(asOf);
    }
    return;
  }
  // A target that there is no more has a page too, which says so.
  if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!next.getElementById("main")) throw new Error("not a page of the exporter");
  if (paused || marked()) return;
  tag = answer.headers.get("ETag") || "";
  show(next);
}

let following = false;

async function follow() {
  clearTimeout(timer);
  if (document.hidden || paused || following) return;
  following = true;
  // To change the page would take away a text that somebody marks to copy it.
  if (marked()) say("stands still while text is marked");
  else {
    try {
      await refresh();
      say(paused ? "paused" : "");
    } catch {
      if (!connection.textContent.startsWith("not connected")) {
        say(`not connected since ${clock.format(Date.now())}`);
      }
    }
  }
  following = false;
  clearTimeout(timer);
  timer = setTimeout(follow, INTERVAL);
}

function setPaused(wanted) {
  paused = wanted;
  pause.setAttribute("aria-pressed", String(paused));
  try {
    sessionStorage.setItem("paused", paused ? "yes" : "");
  } catch {
    // A browser may keep nothing: then it holds for this page.
  }
  say(paused ? "paused" : "");
}

function wasPaused() {
  try {
    return sessionStorage.getItem("paused") === "yes";
  } catch {
    return false;
  }
}

const asOf = document.querySelector("#as-of time");
if (asOf && performance.getEntriesByType("navigation")[0]?.type !== "back_forward") {
  compareClocks(Date.parse(asOf.dateTime));
}
document.querySelectorAll("time").forEach(localize);
// Paper shows what is folded up, too.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    addEventListener("afterprint", () => (fold.open = false), { once: true });
  }
});
setInterval(countAll, 1000);
document.addEventListener("visibilitychange", countAll);

if (live && pause) {
  pause.hidden = false;
  setPaused(wasPaused());
  pause.addEventListener("click", () => {
    setPaused(!paused);
    follow();
  });
  document.addEventListener("pointermove", notePointer, { passive: true });
  document.documentElement.addEventListener("pointerleave", () => (pointed = null));
  document.addEventListener("visibilitychange", follow);
  timer = setTimeout(follow, INTERVAL);
}
