// One-key shortcuts; off in Display (WCAG 2.1.4), except that Escape always closes.
import { open as openHalt } from "./halt.js";

const SEQUENCE_MS = 1200;
let leaderAt = -Infinity;

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
const off = () => document.documentElement.dataset.keys === "off";

function rows() {
  const all = document.querySelectorAll("main table[data-rows] tbody tr, main ul[data-rows] > li");
  return [...all].filter((row) => row.offsetParent);
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.hasAttribute("data-focus"));
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))] ?? all[0];
  all.forEach((row) => row.toggleAttribute("data-focus", row === next));
  const link = next.querySelector("a.pick, button.pick");
  if (link) link.focus(); else { next.tabIndex = -1; next.focus(); }
  next.scrollIntoView({ block: "nearest" });
}

// Acknowledges the row that stands out; without one it first shows which row that would be.
function acknowledge() {
  const row = document.querySelector("main [data-focus]");
  if (row) row.querySelector("[data-ack] button")?.click(); else move(1);
}

function go(letter) {
  const link = document.querySelector(`[data-go="${letter}"]`);
  if (link) location.assign(link.href);
  return Boolean(link);
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || off()) return;
  const { key } = event;
  if (key === "K" && event.shiftKey) { event.preventDefault(); openHalt(); return; }
  if (document.querySelector("dialog[open]")) return;
  if (performance.now() - leaderAt < SEQUENCE_MS && go(key)) { event.preventDefault(); leaderAt = -Infinity; return; }
  leaderAt = key === "g" ? performance.now() : -Infinity;
  if (key === "?") document.getElementById("help")?.showModal();
  else if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (key === "a") acknowledge();
  else if (key === "/") { const box = document.querySelector("main [type=search]"); if (box) { event.preventDefault(); box.focus(); } }
}

export function start() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    if (event.target.closest("[data-open-help]")) document.getElementById("help").showModal();
  });
}
