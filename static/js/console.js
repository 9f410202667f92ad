// Where the page's behaviours start, and where they look again after a swap.
import * as chart from "./chart.js";
import * as clock from "./clock.js";
import * as drawdown from "./drawdown.js";
import * as figs from "./figs.js";
import * as freshness from "./freshness.js";
import * as keys from "./keys.js";
import * as lab from "./lab.js";
import * as ladder from "./ladder.js";
import * as panels from "./panels.js";
import * as pick from "./pick.js";
import * as sparkline from "./sparkline.js";
import * as toasts from "./toasts.js";
import * as values from "./values.js";
import "./halt.js";

function rescan() {
  for (const part of [values, panels, sparkline, chart, drawdown, ladder, figs]) part.rescan();
}

toasts.start();
keys.start();
clock.start();
pick.start();
lab.start();
rescan();
freshness.start();
document.body.addEventListener("htmx:afterSettle", rescan);
document.body.addEventListener("htmx:oobAfterSwap", rescan);
