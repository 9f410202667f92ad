// HALT: one press, one confirm. The button says exactly what it will do, and what to do when it cannot.
import { toast } from "./toasts.js";

const ARMING_MS = 350; // a double click must not confirm
const ANSWER_MS = 6000;

const dialog = document.getElementById("halt");
let openedAt = 0;

export function open(scope = "") {
  if (!dialog || dialog.open) return;
  document.querySelectorAll("dialog[open]").forEach((other) => other.close());
  dialog.querySelector(".failed").hidden = true;
  dialog.querySelector("form").reset();
  dialog.showModal();
  openedAt = performance.now();
  dialog.querySelector("#halt-confirm").focus();
  const effect = dialog.querySelector("#halt-effect");
  effect.setAttribute("hx-vals", JSON.stringify({ scope }));
  htmx.trigger(effect, "gc:opened");
}

function refuse(reason) {
  const failed = dialog.querySelector(".failed");
  failed.querySelector("p").textContent = reason;
  failed.hidden = false;
  if (!dialog.open) dialog.showModal();
}

async function submit(event) {
  event.preventDefault();
  if (performance.now() - openedAt < ARMING_MS) return;
  const form = event.target;
  const button = form.querySelector("#halt-confirm");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json" },
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await judge(answer);
  } catch (error) {
    refuse(error.name === "TimeoutError"
      ? "No answer within 6 s. The halt may or may not be latched: look at the bar on top, and use another way."
      : "The console cannot be reached. Nothing was halted from here.");
  } finally {
    button.disabled = false;
  }
}

async function judge(answer) {
  if (answer.ok) {
    const { message } = await answer.json();
    dialog.close();
    toast(message, "success");
    htmx.trigger(document.body, "gc:halt");
  } else if (answer.type === "opaqueredirect" || answer.status === 401) {
    refuse("You are signed out. Nothing was halted: sign in again, or use another way.");
  } else if (answer.status === 403) {
    refuse("This page is older than your sign-in, so the console refused it. Nothing was halted: reload the page, or use another way.");
  } else {
    const body = await answer.json().catch(() => null);
    refuse(body?.message ?? `The console answered with an error (${answer.status}). Look at the bar on top, and use another way.`);
  }
}

if (dialog) {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-halt-opener]")) return;
    event.preventDefault();
    open(event.target.elements.scope?.value);
  });
  dialog.querySelector("form").addEventListener("submit", submit);
}
