// The latest value of every key on the wire, and who wants to know when one changes.
const values = new Map();
const watchers = new Map();
const changed = new Set();
const afterFlush = new Set();
let scheduled = false;

export const value = (key) => values.get(key);
export const keys = () => values.keys();

export function watch(key, tell) {
  if (!watchers.has(key)) watchers.set(key, new Set());
  watchers.get(key).add(tell);
  return () => watchers.get(key)?.delete(tell);
}

export function onFlush(tell) {
  afterFlush.add(tell);
}

// One pass over the page per animation frame, however many frames the socket brought.
export function put(fresh, { replace = false } = {}) {
  if (replace) {
    for (const key of values.keys()) if (!(key in fresh)) { values.set(key, null); changed.add(key); }
  }
  for (const [key, now] of Object.entries(fresh)) {
    values.set(key, now);
    changed.add(key);
  }
  if (!scheduled) {
    scheduled = true;
    requestAnimationFrame(flush);
  }
}

function flush() {
  scheduled = false;
  const keysNow = [...changed];
  changed.clear();
  for (const key of keysNow) {
    for (const tell of watchers.get(key) ?? []) tell(values.get(key), key);
  }
  for (const tell of afterFlush) tell();
}
