// The page is complete without this. It keeps the numbers current, and charts one Tab stop each.
"use strict";

const POLL_SECONDS = 15;
const POLL_LIVE_SECONDS = 60; // also finds a new day, and what was published while nobody listened
const GATHER_MS = 150; // one edit publishes several periods
const main = document.getElementById("main");
let waiting = null, running = false, again = false, live = false;

function roving(root) {
  for (const list of root.querySelectorAll("[data-columns]")) {
    const stops = [...list.querySelectorAll("a")];
    stops.forEach((stop, place) => { stop.tabIndex = place === stops.length - 1 ? 0 : -1; });
  }
}

function move(event) {
  const list = event.target.closest("[data-columns]");
  if (!list) return;
  if (event.key === "Escape") return event.target.blur();
  const stops = [...list.querySelectorAll("a")], at = stops.indexOf(event.target);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: stops.length - 1 }[event.key];
  if (to === undefined || !stops[to]) return;
  event.preventDefault();
  stops[at].tabIndex = -1;
  stops[to].tabIndex = 0;
  stops[to].focus();
}

function relative(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    time.title ||= time.textContent;
    time.textContent = seconds < 10 ? "just now"
      : seconds < 100 ? `${Math.round(seconds / 10) * 10} seconds ago`
      : seconds < 5400 ? `${Math.round(seconds / 60)} minutes ago`
      : seconds < 129600 ? `${Math.round(seconds / 3600)} hours ago` : `${Math.round(seconds / 86400)} days ago`;
  }
}

function showLive() {
  const pulse = main.querySelector("[data-live]"), words = main.querySelector("[data-live-words]");
  pulse.className = `pulse ${live ? "is-live" : "is-away"}`;
  words.textContent = live ? "Live, as of" : "As of";
}

// Where focus was inside a part, so that replacing it does not throw the keyboard out.
function focusIn(part) {
  const all = [...part.querySelectorAll("a")], at = all.indexOf(document.activeElement);
  return at < 0 ? () => {} : (fresh) => fresh.querySelectorAll("a")[at]?.focus();
}

function swap(next) {
  const changed = [];
  for (const fresh of next.querySelectorAll("[data-part]")) {
    const old = document.getElementById(fresh.id);
    if (!old || old.dataset.version === fresh.dataset.version) continue;
    const refocus = focusIn(old), node = document.adoptNode(fresh);
    old.replaceWith(node);
    roving(node);
    relative(node);
    refocus(node);
    const total = node.querySelector("[data-total]");
    if (total && total.textContent !== old.querySelector("[data-total]")?.textContent) {
      node.classList.add("changed");
      changed.push(`${node.querySelector("h2")?.textContent ?? ""} ${total.textContent}`.trim());
    }
  }
  main.dataset.etag = next.getElementById("main").dataset.etag;
  if (changed.length) main.querySelector("[data-announce]").textContent = `Updated: ${changed.join("; ")}`;
  showLive();
}

async function refresh() {
  if (running) { again = true; return; }
  running = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    else if (answer.status === 401) location.reload(); // says that the link has run out
  } catch { live = false; showLive(); } // the next poll tries again
  running = false;
  if (again) { again = false; refresh(); }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, GATHER_MS);
}

async function poll() {
  try {
    const answer = await fetch(main.dataset.api, { cache: "no-cache" });
    if (!answer.ok || answer.headers.get("etag") !== main.dataset.etag) await refresh();
  } catch { live = false; showLive(); }
  schedule();
}

let timer = null;
function schedule() {
  clearTimeout(timer);
  timer = setTimeout(poll, (live ? POLL_LIVE_SECONDS : POLL_SECONDS) * 1000);
}

function listen() {
  const source = new EventSource(main.dataset.events);
  source.addEventListener("connection", (event) => {
    live = event.data === "live";
    showLive();
    soon(); // what was published before this connection stood
    schedule();
  });
  source.addEventListener("published", soon);
  source.onerror = () => {
    live = false;
    showLive();
    schedule();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, POLL_SECONDS * 1000);
  };
}

roving(document);
relative(document);
document.addEventListener("keydown", move);
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
setInterval(() => relative(document), 10000);
schedule();
listen();
