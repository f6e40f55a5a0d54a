"use strict";
// Shows the page as it is now, every two seconds while somebody can see it.

const INTERVAL = 2000;
const PATIENCE = 10000;
const connection = document.getElementById("connection");

async function fresh() {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(location.href, { cache: "no-store", signal });
  if (!answer.ok) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function replace(next) {
  const focused = document.activeElement?.id;
  for (const old of document.querySelectorAll("main details")) {
    const same = next.getElementById(old.id);
    if (same) same.open = old.open;
  }
  document.title = next.title;
  document.querySelector("main").replaceChildren(...next.querySelector("main").childNodes);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  if (document.hidden) return;
  // Replacing the page would take away a text that somebody is selecting to copy it.
  if (getSelection()?.type === "Range") {
    connection.textContent ||= "stands still while text is marked";
    return;
  }
  try {
    replace(await fresh());
    connection.textContent = "";
  } catch {
    connection.textContent ||= `not connected since ${new Date().toLocaleTimeString()}`;
  }
}

async function follow() {
  await refresh();
  setTimeout(follow, INTERVAL);
}

setTimeout(follow, INTERVAL);
document.addEventListener("visibilitychange", refresh);
