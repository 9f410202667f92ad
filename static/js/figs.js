// Charts for analysis: figures as JSON, drawn by Plotly when they come into sight; colours are names of our tokens.
const figures = new Map();
const answers = new Map();
let library = null;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// 1 MB that only pages with a chart load, and only once.
function plotly(source) {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => done(window.Plotly);
    script.onerror = () => { library = null; failed(new Error("the chart library cannot be loaded")); };
    document.head.append(script);
  });
  return library;
}

function answer(address) {
  if (!answers.has(address)) {
    const asked = fetch(address, { headers: { Accept: "application/json" } })
      .then((got) => { if (!got.ok) throw new Error(`the server said ${got.status}`); return got.json(); });
    asked.catch(() => answers.delete(address));
    answers.set(address, asked);
  }
  return answers.get(address);
}

function coloured(part) {
  if (typeof part === "string") return part.startsWith("--") ? css(part) : part;
  if (Array.isArray(part)) return part.map(coloured);
  if (part && typeof part === "object") return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, coloured(value)]));
  return part;
}

class Figure {
  constructor(element) {
    this.element = element;
    this.note = element.querySelector(".over");
    this.sight = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) this.load(); }, { rootMargin: "1200px" });
    this.sight.observe(element);
  }

  async load() {
    this.sight.disconnect();
    try {
      const [, found] = await Promise.all([plotly(this.element.dataset.plotly), answer(this.element.dataset.fig)]);
      this.figure = found[this.element.dataset.name];
      if (this.gone) return;
      this.note?.remove();
      this.draw();
    } catch (error) {
      if (this.note) this.note.textContent = `No chart: ${error.message}. The numbers stand beside it.`;
    }
  }

  draw(size = { autosize: true }) {
    if (!this.figure || this.gone) return;
    const { data, layout } = coloured(this.figure);
    window.Plotly.react(this.element, data, { ...layout, ...size }, { responsive: true, displaylogo: false, displayModeBar: false });
  }

  destroy() {
    this.gone = true;
    this.sight.disconnect();
    if (window.Plotly) window.Plotly.purge(this.element);
  }
}

export function rescan() {
  for (const [element, figure] of figures) if (!element.isConnected) { figure.destroy(); figures.delete(element); }
  for (const element of document.querySelectorAll("[data-fig]")) {
    if (!figures.has(element)) figures.set(element, new Figure(element));
  }
}

// What htmx is about to take away would otherwise keep its nodes and listeners alive.
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  const figure = figures.get(event.target);
  if (figure) { figure.destroy(); figures.delete(event.target); }
});
document.addEventListener("gc:look", () => figures.forEach((figure) => figure.draw()));

document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) window.print(); });

// Paper is white, and narrower than any screen: the charts are drawn for it for as long as the page is printed.
const PAPER = { autosize: false, height: 200 };
let theme = null;
window.addEventListener("beforeprint", () => {
  theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  figures.forEach((figure) => figure.draw({ ...PAPER, width: figure.element.closest(".charts") ? 336 : 690 }));
});
window.addEventListener("afterprint", () => {
  if (theme) document.documentElement.dataset.theme = theme;
  figures.forEach((figure) => figure.draw());
});
