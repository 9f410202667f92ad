// How old is what you see? Two ages: of the exchange data, and of the link to the console.
import { age, clock } from "./format.js";
import { connect, dataOf, link, newestData, reconnectNow, setPaused } from "./live.js";
import { value } from "./store.js";

const STALE_MS = 3000;
const TICK_MS = 250;
const FIRST_TRY_MS = 2000;

const body = document.body;
const $ = (id) => document.getElementById(id);
const startedAt = performance.now();
let server = "unknown"; // what a plain HTTP request says while the socket is closed
let probedAt = 0;

function judge(now) {
  if (link.state === "signed-out") return "down";
  if (link.state === "wait" && now - startedAt < FIRST_TRY_MS) return "wait";
  if (link.state !== "open") return "down";
  if (link.serverMs === null && now - link.openedAt < FIRST_TRY_MS) return "wait";
  if (link.paused || now - link.heardAt > STALE_MS) return "stale";
  const newest = newestData();
  return newest === null || now - newest > STALE_MS ? "stale" : "live";
}

function word(state) {
  if (state === "stale") return link.paused ? "Paused" : newestData() === null ? "No data" : "Stale";
  return { wait: "Connecting", live: "Live", down: link.state === "signed-out" ? "Signed out" : "Disconnected" }[state];
}

function lastSeen(now) {
  const newest = newestData();
  return newest === null || link.serverMs === null ? null : Date.now() - (now - newest);
}

function staleText(now) {
  const last = lastSeen(now);
  const since = last === null ? "" : ` Last data ${clock(last)} UTC. Values below are old.`;
  if (link.paused) return `Updates are paused by you.${since}`;
  if (now - link.heardAt > STALE_MS) return `The console has been silent for ${age((now - link.heardAt) / 1000)}.${since}`;
  const silent = value("sys.silent");
  if (silent === "valkey") return `The console cannot reach Valkey.${since}`;
  if (silent) return `No sign of life from: ${silent.replaceAll("_", "-")}.${since}`;
  if (value("replay.state") === "BREAK") return `The replay is between two laps; trading goes on in a moment.${since}`;
  if (last === null) return "No exchange data yet. The first price appears here as soon as the market-data loop has one.";
  return `No exchange data for ${age((now - newestData()) / 1000)}.${since}`;
}

function downText(now) {
  const last = lastSeen(now);
  const since = last === null ? "" : ` Last update ${clock(last)} UTC; values below are old.`;
  if (link.state === "signed-out") return `You are signed out.${since}`;
  const wait = link.retryAt === null ? "Reconnecting …" : `Reconnecting in ${Math.max(0, Math.ceil((link.retryAt - now) / 1000))} s.`;
  if (link.tooMany) return `Too many open tabs of this person: close one. ${wait}`;
  const way = {
    up: " The web server answers: HALT works from here.",
    down: " The web server does not answer: HALT from the host with ./console halt.",
    unknown: "",
  }[server];
  return `Connection lost.${since} ${wait}${way}`;
}

// Whether HALT would get through is found out, never assumed.
async function probe(now) {
  if (now - probedAt < 2000) return;
  probedAt = now;
  try {
    const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(1500) });
    server = answer.ok ? "up" : "down";
  } catch {
    server = "down";
  }
}

function show() {
  const now = performance.now();
  const state = judge(now);
  if (body.dataset.link !== state) body.dataset.link = state;
  const pill = $("link");
  if (pill.dataset.link !== state) pill.dataset.link = state;
  write($("link-word"), word(state));
  const newest = newestData();
  write($("data-age"), newest === null ? age(null) : age((now - newest) / 1000));
  write($("link-age"), link.heardAt === null || link.state !== "open" ? age(null) : age((now - link.heardAt) / 1000));
  showBar(state, now);
  markRows(now, state);
}

function showBar(state, now) {
  const bar = $("link-bar");
  const needed = state === "stale" || state === "down";
  bar.hidden = !needed;
  if (!needed) { server = "unknown"; return; }
  bar.classList.toggle("red", state === "down");
  bar.classList.toggle("amber", state === "stale");
  if (state === "down" && link.state !== "signed-out") probe(now);
  write($("link-text"), state === "down" ? downText(now) : staleText(now));
  $("link-again").hidden = link.state === "signed-out" || link.paused;
  $("link-resume").hidden = !link.paused;
  $("link-sign-in").hidden = link.state !== "signed-out";
}

function markRows(now, state) {
  for (const row of document.querySelectorAll("tr[data-symbol]")) {
    const at = dataOf(row.dataset.symbol);
    const old = state !== "wait" && (at === null || now - at > STALE_MS);
    if (old !== row.hasAttribute("data-stale")) row.toggleAttribute("data-stale", old);
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function start() {
  if (!$("link")) return;
  $("link-again").addEventListener("click", reconnectNow);
  $("link-resume").addEventListener("click", () => setPaused(false));
  $("pause-updates")?.addEventListener("click", () => { setPaused(true); $("display").close(); });
  setInterval(show, TICK_MS);
  connect();
}
