// Half a minute of price in a table cell: a canvas, redrawn at most five times a second.
import { onFlush, watch } from "./store.js";

const WINDOW_MS = 30_000;
const REDRAW_MS = 200;
const LENGTH_MAX = 600;
const lines = new Map(); // canvas -> line
let drawnAt = 0;

class Line {
  constructor(canvas, start) {
    this.canvas = canvas;
    this.points = start; // [ms, price], on this page's clock
    this.fit();
    this.unwatch = watch(`m.${canvas.dataset.spark}.px`, (price) => this.push(price));
  }

  fit() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth || 100;
    this.height = this.canvas.clientHeight || 26;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
  }

  push(price) {
    if (typeof price !== "number") return;
    this.points.push([performance.now(), price]);
    if (this.points.length > LENGTH_MAX) this.points.splice(0, LENGTH_MAX / 2);
  }

  draw(colour) {
    const now = performance.now();
    const from = now - WINDOW_MS;
    while (this.points.length > 1 && this.points[1][0] < from) this.points.shift();
    const { pen, width, height, points } = this;
    pen.clearRect(0, 0, width, height);
    if (points.length < 2) return;
    const prices = points.map((point) => point[1]);
    const low = Math.min(...prices);
    const span = Math.max(...prices) - low || 1;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.3;
    pen.lineJoin = "round";
    pen.beginPath();
    points.forEach(([at, price], index) => {
      const x = Math.max(0, (at - from) / WINDOW_MS) * width;
      const y = height - 3 - ((price - low) / span) * (height - 6);
      if (index) pen.lineTo(x, y); else pen.moveTo(x, y);
    });
    pen.lineTo(width, height - 3 - ((prices.at(-1) - low) / span) * (height - 6));
    pen.stroke();
  }
}

function draw(force = false) {
  const now = performance.now();
  if (!force && now - drawnAt < REDRAW_MS) return;
  drawnAt = now;
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--trace").trim();
  for (const line of lines.values()) line.draw(colour);
}

export async function rescan() {
  for (const [canvas, line] of lines) if (!canvas.isConnected) { line.unwatch(); lines.delete(canvas); }
  const fresh = [...document.querySelectorAll("canvas[data-spark]")].filter((canvas) => !lines.has(canvas));
  for (const canvas of fresh) lines.set(canvas, new Line(canvas, []));
  if (!fresh.length || !document.body.dataset.recent) return;
  const answer = await fetch(document.body.dataset.recent).then((got) => (got.ok ? got.json() : null)).catch(() => null);
  if (!answer) return;
  const offset = performance.now() - answer.now;
  for (const canvas of fresh) {
    const past = (answer.prices[canvas.dataset.spark] ?? []).map(([at, price]) => [at + offset, price]);
    lines.get(canvas)?.points.unshift(...past.filter(([at]) => at < (lines.get(canvas).points[0]?.[0] ?? Infinity)));
  }
  draw(true);
}

onFlush(() => draw());
document.addEventListener("gc:look", () => draw(true));
