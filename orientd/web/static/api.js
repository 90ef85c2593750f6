// Requests to the server, and the small pictures, a few at a time so that a verdict never waits behind them.

const page = sessionStorage.page ||= crypto.getRandomValues(new Uint32Array(4)).join("-");

async function answered(request) {
  const response = await request;
  const reply = await response.json().catch(() => ({ error: `The server answered with ${response.status}.` }));
  if (!response.ok) throw new Error(reply.error || `The server answered with ${response.status}.`);
  return reply;
}

export function get(path, query = {}) {
  return answered(fetch(`/api/${path}?${new URLSearchParams(query)}`));
}

export function post(path, said = {}) {
  const body = JSON.stringify({ ...said, page });
  return answered(fetch(`/api/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body }));
}

export const photo = (number, side, version = 0) => `/photo/${number}/${side}?v=${version}`;

const AT_ONCE = 4; // a browser has six connections, and verdicts need some
const waiting = new Map(), loading = new Set();

export function show(image, url) {
  if (image.dataset.url === url) return;
  image.dataset.url = url;
  waiting.set(image, url);
  queueMicrotask(next);
}

export function drop(image) {
  waiting.delete(image);
  if (loading.has(image)) image.removeAttribute("src"); // which cancels it
  ended(image);
}

function next() {
  for (const [image, url] of waiting) {
    if (loading.size >= AT_ONCE) return;
    waiting.delete(image);
    loading.add(image);
    image.onload = () => { image.classList.add("there"); ended(image); };
    image.onerror = () => { image.dispatchEvent(new Event("missing")); ended(image); };
    image.src = url;
  }
}

function ended(image) {
  if (loading.delete(image)) next();
}
