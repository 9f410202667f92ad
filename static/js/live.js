// The socket: snapshot, numbered deltas, a gap means a new snapshot; reconnects with full jitter.
import { put } from "./store.js";

const BACKOFF_MAX_S = 30;
const NOT_SIGNED_IN = 4401;
const TOO_MANY = 4429;
const GAP = 4000;

const body = document.body;
let socket = null;
let number = -1;
let tries = 0;
let timer = 0;

// What the freshness display reads. Times are performance.now() ms; serverMs is the console's own clock.
export const link = {
  state: "wait", // "wait" | "open" | "closed" | "signed-out"
  openedAt: null,
  heardAt: null,
  serverMs: null,
  retryAt: null,
  tooMany: false,
  paused: false,
};
const dataAt = new Map(); // symbol -> moment of its last exchange data

export const newestData = () => (dataAt.size ? Math.max(...dataAt.values()) : null);
export const dataOf = (symbol) => dataAt.get(symbol) ?? null;

export function connect() {
  clearTimeout(timer);
  if (!body.dataset.desk || (socket && socket.readyState <= WebSocket.OPEN)) return;
  link.retryAt = null;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws/live/?desk=${encodeURIComponent(body.dataset.desk)}`);
  socket.onopen = onOpen;
  socket.onmessage = (event) => onFrame(JSON.parse(event.data));
  socket.onclose = onClose;
}

export function reconnectNow() {
  tries = 0;
  if (socket && socket.readyState === WebSocket.OPEN) socket.close(GAP);
  else connect();
}

export function setPaused(paused) {
  link.paused = paused;
  say(paused || document.hidden ? "pause" : "resume");
}

function onOpen() {
  link.state = "open";
  link.openedAt = performance.now();
  link.tooMany = false;
  link.heardAt = performance.now();
  number = -1;
  if (document.hidden || link.paused) say("pause");
}

function onFrame(frame) {
  link.heardAt = performance.now();
  if (frame.hb) return; // keeps the link, says nothing about the age of the data
  tries = 0;
  if (frame.ev) {
    for (const name of frame.ev) document.dispatchEvent(new CustomEvent("gc:event", { detail: name }));
    return;
  }
  if (!frame.snap && frame.n !== number + 1) {
    socket.close(GAP);
    return;
  }
  number = frame.n;
  link.serverMs = frame.t;
  noteData(frame);
  put(frame.d, { replace: Boolean(frame.snap) });
}

// Ages are reckoned between two readings of the server's clock, so that this computer's clock does not matter.
function noteData(frame) {
  for (const key in frame.d) {
    if (!key.startsWith("m.") || !key.endsWith(".t") || typeof frame.d[key] !== "number") continue;
    dataAt.set(key.slice(2, -2), performance.now() - Math.max(0, frame.t - frame.d[key]));
  }
}

function onClose(event) {
  link.state = event.code === NOT_SIGNED_IN ? "signed-out" : "closed";
  link.tooMany = event.code === TOO_MANY;
  if (link.state === "signed-out") return;
  const most = event.code === GAP ? 0.2 : link.tooMany ? BACKOFF_MAX_S : Math.min(BACKOFF_MAX_S, 2 ** tries++);
  const waitMs = event.code === GAP ? 50 : (0.3 + Math.random() * most) * 1000;
  link.retryAt = performance.now() + waitMs;
  timer = setTimeout(connect, waitMs);
}

function say(word) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ [word]: 1 }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) say("pause");
  else if (socket && socket.readyState === WebSocket.OPEN) { if (!link.paused) say("resume"); }
  else if (link.state === "closed") reconnectNow();
});
addEventListener("online", () => link.state === "closed" && reconnectNow());
