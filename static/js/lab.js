// The lab shows the levels of the grid while it is typed; without this script they stand there after a reload.
const SETTLED_MS = 250; // after the last key

let timer = null;
let asked = null;

async function preview(form) {
  asked?.abort();
  asked = new AbortController();
  const address = `${form.dataset.preview}?${new URLSearchParams(new FormData(form))}`;
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, signal: asked.signal });
    if (answer.ok) show(await answer.text());
  } catch (error) {
    if (error.name !== "AbortError") document.getElementById("preview").textContent = "No preview: the console does not answer.";
  }
}

function show(text) {
  const parsed = new DOMParser().parseFromString(text, "text/html"); // runs nothing
  document.getElementById("preview").replaceChildren(...parsed.body.childNodes);
  document.dispatchEvent(new CustomEvent("gc:look")); // charts draw the levels of the form
}

let chosen = null; // the price field that the next click on the chart fills

// A price clicked on the chart goes into the price field chosen last.
function take(event) {
  const field = chosen?.isConnected ? chosen : document.querySelector("form[data-preview] input[data-price]");
  if (!field) return;
  field.value = event.detail;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

const isTouched = (field) => field.tagName === "INPUT" && field.type !== "hidden" && field.value !== field.defaultValue;

export function start() {
  const early = document.querySelector("form[data-preview]"); // typed before this script was there
  if (early && [...early.elements].some(isTouched)) preview(early);
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-preview]");
    if (!form) return;
    clearTimeout(timer);
    timer = setTimeout(() => preview(form), SETTLED_MS);
  });
  document.addEventListener("focusin", (event) => { if (event.target.matches("input[data-price]")) chosen = event.target; });
  document.addEventListener("gc:price", take);
  document.addEventListener("submit", () => { clearTimeout(timer); asked?.abort(); });
}
