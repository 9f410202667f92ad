// Look and keys of this browser, before the first paint. Classic script: it must run before the body is drawn.
(() => {
  const root = document.documentElement;
  const known = {
    theme: ["dark", "light", "system"],
    pnl: ["blue-orange", "green-red", "red-green"],
    keys: ["on", "off"],
  };

  function read(name) {
    let stored = null;
    try { stored = localStorage.getItem(`gc.${name}`); } catch { /* storage may be forbidden */ }
    return known[name].includes(stored) ? stored : known[name][0];
  }

  function write(name, value) {
    try { localStorage.setItem(`gc.${name}`, value); } catch { /* holds until the page is left */ }
    root.dataset[name] = value;
    document.dispatchEvent(new CustomEvent("gc:look"));
  }

  root.dataset.js = "on";
  for (const name of Object.keys(known)) root.dataset[name] = read(name);

  document.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (event.target.closest("#display") && known[name]?.includes(value)) write(name, value);
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-open-display]")) return;
    const dialog = document.getElementById("display");
    for (const name of Object.keys(known)) {
      dialog.querySelector(`input[name="${name}"][value="${root.dataset[name]}"]`).checked = true;
    }
    dialog.showModal();
  });
})();
