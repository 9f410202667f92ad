// Sections that htmx fetches again: on a rare event, or when one of the keys they watch changes.
import { watch } from "./store.js";

const QUIET_MS = 500;
const waiting = new Map();
const watched = new Map();

// The first call goes through at once, the last one of a burst is never lost.
function throttled(name, run) {
  const state = waiting.get(name) ?? { timer: 0, again: false };
  waiting.set(name, state);
  if (state.timer) { state.again = true; return; }
  run();
  state.timer = setTimeout(() => {
    state.timer = 0;
    if (state.again) { state.again = false; throttled(name, run); }
  }, QUIET_MS);
}

document.addEventListener("gc:event", (event) => {
  const name = `gc:${event.detail}`;
  throttled(name, () => htmx.trigger(document.body, name));
});

// A list in which somebody fills in a form is not taken away from under it; where the panel says so no typed word is.
function isFilledIn(element) {
  const typed = element.matches("[data-keeps]") ? [...element.querySelectorAll("form :is(input, textarea)")] : [];
  return element.querySelector("details[open] form") || typed.some((field) => field.value !== field.defaultValue);
}

for (const moment of ["htmx:beforeRequest", "htmx:beforeSwap"]) { // or meanwhile
  document.addEventListener(moment, (event) => {
    const { elt, verb } = event.detail.requestConfig;
    if (verb === "get" && isFilledIn(elt)) event.preventDefault();
  });
}

export function rescan() {
  for (const [element, unwatch] of watched) {
    if (!element.isConnected) { unwatch.forEach((stop) => stop()); watched.delete(element); }
  }
  for (const element of document.querySelectorAll("[data-watch]")) {
    if (watched.has(element)) continue;
    const tell = () => throttled(element.id, () => htmx.trigger(element, "gc:changed"));
    const seen = new Map();
    const stops = element.dataset.watch.split(" ").map((key) => watch(key, (now) => {
      const first = !seen.has(key);
      const same = JSON.stringify(seen.get(key)) === JSON.stringify(now);
      seen.set(key, now);
      if (!first && !same) tell();
    }));
    watched.set(element, stops);
  }
}
