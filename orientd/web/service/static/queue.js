// Requests to the service, a few at a time; one that finds it busy is made again, and one without the token asks for it.

const AT_ONCE = 3, PATIENCE = 60; // tries
const waiting = [];
let busy = 0, token = "", asking = null;

export function ask(file, query = "", name = file.name) {
  return new Promise((done, failed) => {
    waiting.push({ file, query, name, done, failed });
    next();
  });
}

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

async function sent({ file, query, name }) {
  for (let tries = 0; ; tries += 1) {
    const form = new FormData(), headers = token ? { Authorization: `Bearer ${token}` } : {};
    form.append("image", file, name || "pasted");
    const response = await fetch(`/v1/orientation${query}`, { method: "POST", body: form, headers });
    if (response.status === 401) await unlocked(headers.Authorization);
    else if ([429, 503].includes(response.status) && tries < PATIENCE) await new Promise((go) => setTimeout(go, 500 + 500 * Math.random()));
    else return response;
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
