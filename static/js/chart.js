// Price with grid levels and fills. History first, then the live price; never extrapolated.
import { plain } from "./format.js";
import { withGaps } from "./gaps.js";
import { link } from "./live.js";
import { onFlush, value, watch } from "./store.js";

const WINDOW_S = 300;
const POINTS_MAX = 4000;
const HOLE_S = 10;
const OTHER_RECORDING = 0.05; // prices further away belong to another recording, not to this picture
const REDRAW_MS = 100;
const charts = new Map(); // element -> chart

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class PriceChart {
  constructor(element) {
    this.element = element;
    this.symbol = element.dataset.chart;
    this.note = element.querySelector(".over");
    this.data = [[], []];
    this.levels = [];
    this.fills = [];
    this.seams = [];
    this.decimals = 2;
    this.dirty = false;
    this.drawnAt = 0;
    this.stops = [
      watch(`m.${this.symbol}.px`, (price) => this.push(price)),
      watch(`d.${document.body.dataset.desk}.${this.symbol}.fill`, (fill) => this.addFill(fill)),
      watch(`d.${document.body.dataset.desk}.${this.symbol}.range_lo`, () => this.reload()),
      watch("replay.lap", () => this.reload()),
    ];
    this.resizing = new ResizeObserver(() => this.fit());
    this.resizing.observe(element);
    this.load();
  }

  async load() {
    const answer = await fetch(this.element.dataset.src).catch(() => null);
    if (!answer?.ok || !this.element.isConnected) { this.say("The price history cannot be read; the chart fills from now on."); return; }
    const past = await answer.json();
    this.loaded = true;
    const liveX = this.data[0];
    const until = liveX.length ? liveX[0] : Infinity;
    const old = past.t.map((ms, i) => [ms / 1000, past.price[i]]).filter(([at]) => at < until);
    this.data = [[...old.map((p) => p[0]), ...this.data[0]], [...old.map((p) => p[1]), ...this.data[1]]];
    this.levels = past.levels;
    this.seams = past.seams;
    this.decimals = past.decimals;
    this.fills = past.fills.map(([ms, price, side, quantity]) => [ms / 1000, price, side, quantity]);
    this.draw();
  }

  // A new lap or a new ladder: only levels and seams are asked for again, the prices stay.
  reload() {
    if (!this.loaded) return;
    clearTimeout(this.reloading);
    this.reloading = setTimeout(async () => {
      const past = await fetch(this.element.dataset.src).then((got) => (got.ok ? got.json() : null)).catch(() => null);
      if (!past) return;
      this.levels = past.levels;
      this.seams = past.seams;
      this.draw();
    }, 600);
  }

  push(price) {
    const ms = value(`m.${this.symbol}.t`) ?? link.serverMs;
    if (typeof price !== "number" || ms === null) return;
    const [x, y] = this.data;
    const at = ms / 1000;
    if (x.length && at <= x.at(-1)) { y[y.length - 1] = price; } else { x.push(at); y.push(price); }
    if (x.length > POINTS_MAX) { x.splice(0, POINTS_MAX / 4); y.splice(0, POINTS_MAX / 4); }
    this.dirty = true;
  }

  addFill(fill) {
    if (!Array.isArray(fill)) return;
    const [ms, price, side, quantity] = fill;
    if (this.fills.some((known) => known[0] === ms / 1000 && known[1] === price)) return;
    this.fills.push([ms / 1000, price, side, quantity]);
    this.dirty = true;
  }

  flush() {
    const now = performance.now();
    if (!this.dirty || now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.draw();
  }

  draw() {
    this.dirty = false;
    const last = this.data[0].at(-1);
    if (last === undefined) { this.say("No price yet. The chart starts with the first one."); return; }
    this.say("");
    if (!this.plot) this.make();
    const from = last - WINDOW_S;
    const first = Math.max(0, this.data[0].findIndex((at) => at >= from));
    this.plot.setData(withGaps(this.data[0].slice(first), this.data[1].slice(first), HOLE_S, this.seams));
  }

  make() {
    const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter" };
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { setScale: false } },
      scales: { y: { range: (plot, low) => this.range(low) } },
      series: [{}, { stroke: css("--accent"), width: 1.5, points: { show: false } }],
      axes: [
        { ...axis, space: 90, size: 28, values: (plot, times) => times.map((at) => new Date(at * 1000).toISOString().slice(11, 19)) },
        { ...axis, side: 1, size: 84, values: (plot, prices) => prices.map((price) => plain(price, this.decimals)) },
      ],
      hooks: { draw: [(plot) => this.drawOver(plot)], setCursor: [(plot) => this.readOut(plot)] },
    }, this.data, this.element);
    if (!("pickable" in this.element.dataset)) return;
    this.plot.over.addEventListener("click", () => {
      const { top } = this.plot.cursor;
      if (top < 0) return;
      const price = this.plot.posToVal(top, "y").toFixed(this.decimals);
      this.element.dispatchEvent(new CustomEvent("gc:price", { bubbles: true, detail: price }));
    });
  }

  // The whole ladder where that keeps the price readable, else the levels next to the price.
  range(known) {
    if (known === null || known === undefined) return [0, 1];
    const now = this.data[1].at(-1);
    const near = this.data[1].filter((price) => Math.abs(price / now - 1) < OTHER_RECORDING);
    const [low, high] = [Math.min(...near), Math.max(...near)];
    let [bottom, top] = [low, high];
    const span = Math.max(high - low, low * 2e-5);
    const proposed = this.proposed();
    if (proposed.length) {
      bottom = Math.min(low, proposed[0]);
      top = Math.max(high, proposed.at(-1));
    } else if (this.levels.length) {
      const whole = [Math.min(low, this.levels[0]), Math.max(high, this.levels.at(-1))];
      if (whole[1] - whole[0] <= span * 8) [bottom, top] = whole;
      else {
        const below = this.levels.filter((level) => level <= low).slice(-2);
        const above = this.levels.filter((level) => level >= high).slice(0, 2);
        bottom = below[0] ?? low;
        top = above.at(-1) ?? high;
      }
    }
    const air = Math.max((top - bottom) * 0.06, span * 0.05);
    return [bottom - air, top + air];
  }

  drawOver(plot) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const price = this.data[1].at(-1);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.lineWidth = devicePixelRatio || 1;
    ctx.setLineDash([5, 5]);
    ctx.globalAlpha = 0.6;
    for (const level of this.levels) {
      ctx.strokeStyle = level <= price ? css("--up") : css("--down");
      const y = Math.round(plot.valToPos(level, "y", true)) + 0.5;
      line(ctx, left, y, left + width, y);
    }
    ctx.setLineDash([2, 3]);
    ctx.globalAlpha = 0.9;
    ctx.strokeStyle = css("--accent");
    for (const level of this.proposed()) {
      const y = Math.round(plot.valToPos(level, "y", true)) + 0.5;
      line(ctx, left, y, left + width, y);
    }
    ctx.setLineDash([5, 5]);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = css("--muted");
    ctx.fillStyle = css("--muted");
    ctx.font = `${11 * (devicePixelRatio || 1)}px Inter`;
    for (const [ms, lap] of this.seams) {
      const x = plot.valToPos(ms / 1000, "x", true);
      if (x < left) continue;
      line(ctx, x, top, x, top + height);
      ctx.fillText(`lap ${lap}`, x + 5, top + 14 * (devicePixelRatio || 1));
    }
    ctx.setLineDash([]);
    for (const [at, at_price, side] of this.fills) this.drawFill(plot, ctx, at, at_price, side);
    ctx.restore();
  }

  // The levels of a form beside this chart, while one is there.
  proposed() {
    const beside = "pickable" in this.element.dataset ? document.querySelector("[data-proposed]") : null;
    return beside ? JSON.parse(beside.dataset.proposed) : [];
  }

  drawFill(plot, ctx, at, price, side) {
    const size = 5 * (devicePixelRatio || 1);
    const x = plot.valToPos(at, "x", true);
    const y = plot.valToPos(price, "y", true);
    ctx.fillStyle = side > 0 ? css("--up") : css("--down");
    ctx.strokeStyle = css("--surface");
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x - size, y + side * size * 1.8);
    ctx.lineTo(x + size, y + side * size * 1.8);
    ctx.closePath();
    ctx.stroke();
    ctx.fill();
  }

  readOut(plot) {
    const target = document.getElementById(this.element.dataset.readout ?? "");
    if (!target) return;
    const index = plot.cursor.idx;
    target.textContent = index === null || index === undefined || plot.data[1][index] === null ? ""
      : `${new Date(plot.data[0][index] * 1000).toISOString().slice(11, 19)}  ${plain(plot.data[1][index], this.decimals)}`;
  }

  size() {
    return { width: this.element.clientWidth - 8, height: this.element.clientHeight - 8 };
  }

  fit() {
    this.plot?.setSize(this.size());
  }

  redo() {
    this.plot?.destroy();
    this.plot = null;
    this.draw();
  }

  say(text) {
    if (this.note) { this.note.textContent = text; this.note.hidden = !text; }
  }

  destroy() {
    this.stops.forEach((stop) => stop());
    this.resizing.disconnect();
    this.plot?.destroy();
  }
}

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

export function rescan() {
  for (const [element, chart] of charts) {
    if (!element.isConnected || element.dataset.chart !== chart.symbol) { chart.destroy(); charts.delete(element); }
  }
  for (const element of document.querySelectorAll("[data-chart]")) {
    if (!charts.has(element)) charts.set(element, new PriceChart(element));
  }
}

onFlush(() => charts.forEach((chart) => chart.flush()));
document.addEventListener("gc:look", () => charts.forEach((chart) => chart.redo()));
