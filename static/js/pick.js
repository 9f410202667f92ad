// On the overview a symbol's name changes the chart in place; without this script it is a plain link.
import { rescan as rescanCharts } from "./chart.js";

export function start() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-pick]");
    const element = document.querySelector("[data-chart]");
    if (!link || !element || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const symbol = link.dataset.pick;
    for (const other of document.querySelectorAll("a[data-pick]")) {
      const chosen = other === link;
      if (chosen) other.setAttribute("aria-current", "true"); else other.removeAttribute("aria-current");
      other.closest("tr").toggleAttribute("data-chosen", chosen);
    }
    document.getElementById("chart-title").textContent = symbol;
    element.dataset.chart = symbol;
    element.dataset.src = link.dataset.src;
    element.setAttribute("aria-label", `Price of ${symbol} with grid levels and fills`);
    rescanCharts();
    history.replaceState(null, "", link.href);
  });
}
