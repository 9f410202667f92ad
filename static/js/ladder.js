// The mark of the last price between the rungs of the ladder.
import { plain } from "./format.js";
import { value, watch } from "./store.js";

const ladders = new Map(); // table -> unwatch

function place(table, price) {
  const mark = table.querySelector("tr.last");
  if (!mark || typeof price !== "number") return;
  mark.hidden = false;
  mark.querySelector("[data-last]").textContent = plain(price, Number(table.dataset.d));
  const rungs = [...table.querySelectorAll("tr[data-price]")];
  const below = rungs.find((rung) => Number(rung.dataset.price) < price);
  if (below ? below.previousElementSibling === mark : mark.parentNode.lastElementChild === mark) return;
  if (below) below.before(mark); else mark.parentNode.append(mark);
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
