// Drawdown of the trading day against its limits. Deepest value per bucket: a drawdown is never averaged away.
import { plain } from "./format.js";
import { withGaps } from "./gaps.js";
import { link } from "./live.js";
import { watch } from "./store.js";

const HOLE_S = 90; // longer than three of the coarsest intervals
const charts = new Map();
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class DrawdownChart {
  constructor(element) {
    this.element = element;
    this.note = element.querySelector(".over");
    this.data = [[], []];
    this.limits = [];
    this.seams = [];
    this.stop = watch(`d.${document.body.dataset.desk}.dd`, (now) => this.push(now));
    this.resizing = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.resizing.observe(element);
    this.load();
  }

  async load() {
    const answer = await fetch(this.element.dataset.src).then((got) => (got.ok ? got.json() : null)).catch(() => null);
    if (!answer) { this.say("The drawdown history cannot be read; the curve starts now."); return; }
    this.data = [[...answer.t.map((ms) => ms / 1000), ...this.data[0]], [...answer.drawdown.map((dd) => -dd), ...this.data[1]]];
    this.limits = [[answer.stop, "stop"], [answer.hard, "hard"]].filter(([limit]) => limit !== null);
    this.seams = answer.seams;
    this.draw();
  }

  push(now) {
    if (typeof now !== "number" || link.serverMs === null) return;
    const at = link.serverMs / 1000;
    if (at - (this.data[0].at(-1) ?? 0) < 1) {
      this.data[1][this.data[1].length - 1] = Math.min(this.data[1].at(-1), -now);
    } else {
      this.data[0].push(at);
      this.data[1].push(-now);
      this.draw();
    }
  }

  draw() {
    if (!this.data[0].length) { this.say("No samples yet. The curve starts with the first second of trading."); return; }
    this.say("");
    if (!this.plot) this.make();
    this.plot.setData(withGaps(...this.data, HOLE_S, this.seams));
  }

  make() {
    const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter" };
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { setScale: false } },
      scales: { y: { range: (plot, low) => this.range(low) } },
      series: [{}, { stroke: css("--accent"), width: 1.4, fill: css("--accent-wash"), fillTo: 0, points: { show: false } }],
      axes: [
        { ...axis, space: 90, size: 28, values: (plot, times) => times.map((at) => new Date(at * 1000).toISOString().slice(11, 19)) },
        { ...axis, side: 1, size: 66, values: (plot, marks) => marks.map((mark) => `${plain(mark, 2)} %`) },
      ],
      hooks: { draw: [(plot) => this.drawLimits(plot)] },
    }, this.data, this.element);
  }

  // The stop is always in sight; the hard stop only when the curve comes near.
  range(low) {
    const lowest = Math.min(low ?? 0, -Math.max(0.1, this.limits[0]?.[0] ?? 0));
    return [lowest * 1.15, Math.abs(lowest) * 0.05];
  }

  drawLimits(plot) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = 1.2 * ratio;
    ctx.font = `600 ${11 * ratio}px Inter`;
    for (const [limit, name] of this.limits) {
      const y = plot.valToPos(-limit, "y", true);
      if (y > top + height) continue;
      ctx.strokeStyle = ctx.fillStyle = css("--crit");
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left + width, y);
      ctx.stroke();
      ctx.fillText(`${name} ${plain(-limit, 2)} %`, left + 6, y - 5 * ratio);
    }
    ctx.strokeStyle = ctx.fillStyle = css("--muted");
    for (const [ms, lap] of this.seams) {
      const x = plot.valToPos(ms / 1000, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + height);
      ctx.stroke();
      ctx.fillText(`lap ${lap}`, x + 5, top + height - 6 * ratio);
    }
    ctx.restore();
  }

  size() {
    return { width: this.element.clientWidth - 8, height: this.element.clientHeight - 8 };
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
    this.stop();
    this.resizing.disconnect();
    this.plot?.destroy();
  }
}

export function rescan() {
  for (const [element, chart] of charts) if (!element.isConnected) { chart.destroy(); charts.delete(element); }
  for (const element of document.querySelectorAll("[data-drawdown]")) {
    if (!charts.has(element)) charts.set(element, new DrawdownChart(element));
  }
}

document.addEventListener("gc:look", () => charts.forEach((chart) => chart.redo()));
