// The UTC clock, and the local time behind every time on the page.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function tick() {
  const clock = document.getElementById("utc");
  if (clock) clock.textContent = new Date().toISOString().slice(11, 19);
}

function relative(ms) {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.round(s / 60)} min ago`;
  return s < 172_800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86_400)} days ago`;
}

export function start() {
  tick();
  setInterval(tick, 1000);
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (!time) return;
    const at = new Date(time.dateTime);
    time.title = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC\n${local.format(at)} your time\n${relative(Date.now() - at)}`;
  });
}
