// The mark of the last price between the rungs of the ladder.
import { plain } from "./format.js";
import { value, watch } from "./store.js";

const ladders = new Map(); // table -> unwatch

function place(table, price) {
  const mark = table.querySelector("tr.last");
  if (!mark || typeof price !== "number") return;
  mark.hidden = false;
  mark.querySelector("[data-last]").textContent = plain(price, Number(table.dataset.d));
  warn(table, price);
  const rungs = [...table.querySelectorAll("tr[data-price]")];
  const below = rungs.find((rung) => Number(rung.dataset.price) < price);
  if (below ? below.previousElementSibling === mark : mark.parentNode.lastElementChild === mark) return;
  if (below) below.before(mark); else mark.parentNode.append(mark);
}

// A price outside the ladder trades nothing until it comes back or the grid is laid anew.
function warn(table, price) {
  const note = table.parentNode.querySelector("[data-outside]");
  const side = price > Number(table.dataset.high) ? "above its highest" : price < Number(table.dataset.low) ? "below its lowest" : "";
  note.hidden = !side;
  if (side) note.firstElementChild.textContent = `The price has left the grid: it is ${side} level.`;
}

export function rescan() {
  for (const [table, unwatch] of ladders) if (!table.isConnected) { unwatch(); ladders.delete(table); }
  for (const table of document.querySelectorAll("table[data-ladder]")) {
    if (ladders.has(table)) continue;
    const key = `m.${table.dataset.ladder}.px`;
    ladders.set(table, watch(key, (price) => place(table, price)));
    place(table, value(key) ?? (Number(table.dataset.last) || null));
  }
}
