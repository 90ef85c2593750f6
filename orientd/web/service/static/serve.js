// The page: pictures come by drop, paste or the file dialog, each becomes a card, and the numbers are told.

import { Picture } from "./picture.js";
import { forget } from "./queue.js";

const find = (name) => document.querySelector(name);
const body = document.body, files = find("#files"), list = find("#pictures");
const pictures = new Set();

function take(given) {
  const taken = [...given].map((file) => new Picture(file, count));
  if (!taken.length) return;
  for (const picture of taken) pictures.add(picture);
  list.prepend(...taken.map((picture) => picture.element));
  count();
  for (const picture of taken) picture.look();
}

function count() {
  const number = (state) => [...pictures].filter((picture) => picture.state === state).length;
  const words = [[number("fix"), "to be turned"], [number("keep"), "upright"], [number("unsure"), "not sure"], [number("error"), "not readable"], [number("busy"), "not looked at"]];
  const total = pictures.size, left = number("waiting");
  const text = [`${total} ${total === 1 ? "picture" : "pictures"}`, words.filter(([some]) => some).map(([some, what]) => `${some} ${what}`).join(", ")].filter(Boolean).join(": ");
  find("#count").textContent = left ? `${text} – ${left} to go` : text;
  find("#tally").hidden = !total;
  body.classList.toggle("some", total > 0);
  if (!left && total) find("#live").textContent = text;
}

function clear() {
  forget();
  for (const picture of pictures) picture.close();
  pictures.clear();
  count();
  files.focus();
}

files.addEventListener("change", () => { take(files.files); files.value = ""; });
find("#drop").addEventListener("submit", (event) => event.preventDefault());
find("#clear").addEventListener("click", clear);
addEventListener("paste", (event) => take(event.clipboardData.files));
let depth = 0;
addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; body.classList.add("over"); });
addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) body.classList.remove("over"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  body.classList.remove("over");
  take(event.dataTransfer.files);
});
