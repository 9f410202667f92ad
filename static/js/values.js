// Elements declare themselves: data-k is the key, data-f the format, data-d the decimals. Bars are <progress data-bar>.
import * as format from "./format.js";
import { value, watch } from "./store.js";

const bound = new Map(); // element -> unwatch

function showNumber(element, now) {
  const decimals = Number(element.dataset.d ?? 2);
  const kind = element.dataset.f;
  const written = kind === "signed" ? format.signed(now, decimals) : kind === "text" ? format.text(now)
    : kind === "note" ? now ?? "" : kind === "clock" ? format.clock(now) : format.plain(now, decimals);
  if (element.textContent !== written) element.textContent = written;
  if (kind === "note") element.title = written;
  if (kind === "signed") setData(element, "s", String(format.sign(now, decimals)));
  if (element.classList.contains("state")) setData(element, "state", now ?? "");
}

function showBar(bar, now) {
  const amount = typeof now === "number" ? Math.max(0, now) : 0;
  const limit = Number(bar.dataset.limit) || 0;
  if (bar.value !== Math.min(amount, bar.max)) bar.value = Math.min(amount, bar.max);
  let level = "";
  if (typeof now === "number" && limit > 0) {
    if ("good" in bar.dataset) level = now >= limit ? "" : "near";
    else level = now >= limit ? "over" : now >= 0.8 * limit ? "near" : "";
  }
  setData(bar, "level", level);
}

function setData(element, name, text) {
  if (element.dataset[name] !== text) element.dataset[name] = text;
}

function bind(element) {
  const show = "bar" in element.dataset ? showBar : showNumber;
  bound.set(element, watch(element.dataset.k, (now) => show(element, now)));
  const known = value(element.dataset.k);
  if (known !== undefined) show(element, known);
}

// After every swap: let go of what left the page, bind what came.
export function rescan() {
  for (const [element, unwatch] of bound) {
    if (!element.isConnected) { unwatch(); bound.delete(element); }
  }
  for (const element of document.querySelectorAll("[data-k]")) {
    if (!bound.has(element)) bind(element);
  }
}
