// Requests to the service, a few at a time; one that finds it busy is made a few times more, after waits that grow and are no
// shorter than it says; one without the token asks for it.

const AT_ONCE = 3, TRIES = 5, LONGEST = 30; // seconds
const BUSY = [429, 503];
const waiting = [];
let busy = 0, token = "", asking = null;

// `waits` hears of the seconds until the next try.
export function ask(file, query = "", waits = () => {}) {
  return new Promise((done, failed) => {
    waiting.push({ file, query, waits, done, failed });
    next();
  });
}

export const isBusy = (response) => BUSY.includes(response.status);

export function forget() {
  for (const one of waiting.splice(0)) one.failed(new Error("not looked at"));
}

function next() {
  while (busy < AT_ONCE && waiting.length) {
    const one = waiting.shift();
    busy += 1;
    sent(one).then(one.done, one.failed).finally(() => { busy -= 1; next(); });
  }
}

async function sent({ file, query, waits }) {
  for (let tries = 1; ;) {
    const form = new FormData(), headers = token ? { Authorization: `Bearer ${token}` } : {};
    form.append("image", file, file.name || "pasted");
    const response = await fetch(`/v1/orientation${query}`, { method: "POST", body: form, headers });
    if (response.status === 401) {
      await unlocked(headers.Authorization);
      continue;
    }
    const seconds = Math.max(2 ** (tries - 1), Number(response.headers.get("Retry-After")) || 0);
    if (!isBusy(response) || tries === TRIES || seconds > LONGEST) return response;
    tries += 1;
    waits(seconds);
    await new Promise((go) => setTimeout(go, 1000 * seconds * (1 + Math.random() / 4))); // pages that were refused together come apart
  }
}

// Asks once, however many requests wait for it.
function unlocked(tried) {
  if (tried && tried !== `Bearer ${token}`) return null; // another has brought it meanwhile
  asking ||= told(Boolean(tried)).finally(() => { asking = null; });
  return asking;
}

async function told(wasWrong) {
  const dialog = document.querySelector("#locked"), field = document.querySelector("#token");
  document.querySelector("#wrong").hidden = !wasWrong;
  field.value = "";
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "yes") throw new Error("It was not looked at: the service asks for a token.");
  token = field.value.trim();
}
