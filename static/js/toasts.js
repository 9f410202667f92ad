// Short notes at the bottom right: six seconds, ten with an undo, errors stay.
const SHOWN_MS = 6000;
const UNDO_MS = 10_000;
const holder = document.getElementById("toasts");

export function toast(text, level = "info") {
  // A section that asks again and again fails again and again: said once is enough.
  if ([...holder.querySelectorAll(".toast > p")].some((known) => known.textContent === text)) return;
  const note = document.createElement("div");
  note.className = "toast";
  note.dataset.level = level;
  note.append(Object.assign(document.createElement("p"), { textContent: text }));
  holder.append(note);
}

function tend(note) {
  const close = Object.assign(document.createElement("button"), { className: "button small icon", type: "button", textContent: "\u2715" });
  close.setAttribute("aria-label", "Close this note");
  close.addEventListener("click", () => note.remove());
  note.append(close);
  if (note.dataset.level !== "error") setTimeout(() => note.remove(), note.querySelector("form") ? UNDO_MS : SHOWN_MS);
}

export function start() {
  if (!holder) return;
  holder.querySelectorAll(".toast").forEach(tend);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.classList?.contains("toast")) tend(node);
  }).observe(holder, { childList: true });
  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    if (status === 401) toast("You are signed out. Sign in again to go on.", "error");
    else if (status === 403) toast("This page is older than your sign-in: reload it and try again.", "error");
    else toast(`The console answered with an error (${status}). Nothing was changed that this page knows of.`, "error");
  });
}
