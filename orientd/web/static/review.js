// The page: what is listed, which photo is the current one, keys, verdicts.

import { get, photo, post } from "./api.js";
import { Card, label, stateOf } from "./cards.js";
import { Grid } from "./grid.js";
import { Large } from "./large.js";
import { Panels } from "./panels.js";

const $ = (id) => document.getElementById(id);
const filters = document.querySelector(".filters");
const numbers = [], places = new Map(), known = new Map(), decided = new Set(), asked = new Set(), cards = new WeakMap();
let current = 0, anchor = null, version = null, unsent = 0, sending = Promise.resolve(), isNow = false;

const grid = new Grid($("grid"), $("titles"), $("cards"), {
  make(index) {
    const card = new Card(index, grid.length);
    cards.set(card.element, card);
    if (known.has(numbers[index])) card.update(known.get(numbers[index]));
    card.mark(index === current, isChosen(index));
    return card.element;
  },
  gone: (element) => cards.get(element).leave(),
  seen: (first, last) => fetchCards(first, last),
});
const large = new Large(() => focus());
const panels = new Panels({ say, warn, filters: () => query(), folder: () => known.get(numbers[current]), took, poll });

// what is listed

const query = () => Object.fromEntries(new FormData(filters));

let lists = 0;
async function list() {
  const mine = ++lists, reply = await get("list", query()), was = numbers[current];
  if (!reply.sections || mine !== lists) return false; // there is no plan yet, or something else was chosen meanwhile
  numbers.length = 0;
  for (const section of reply.sections) for (const number of section.numbers) numbers.push(number);
  places.clear();
  numbers.forEach((number, index) => places.set(number, index));
  decided.clear();
  reply.decided.forEach((number) => decided.add(number));
  version ??= reply.version;
  known.clear();
  reply.cards.forEach((card) => known.set(card.n, card));
  choices("folder", reply.folders.map(([number, name, count]) => [number, name, count]));
  choices("reason", reply.reasons);
  choices("witness", reply.witnesses.map(([name, count]) => [name, name, count]));
  anchor = null;
  current = places.get(was) ?? 0;
  grid.current = current;
  grid.list(reply.sections);
  $("cards").setAttribute("aria-busy", "false");
  $("empty").hidden = numbers.length > 0;
  $("empty").textContent = filters.elements.show.value === "decide" ? "Nothing here needs a decision: as far as orientd can tell, every photo is upright." : "No photo here. Choose something else above.";
  tally();
  if (numbers.length) grid.reveal(current);
  if (large.isOpen) places.has(was) ? openLarge().catch(warn) : large.close();
  return true;
}

function choices(name, offered) {
  const select = filters.elements[name], was = select.value, all = select.options[0];
  const options = offered.map(([value, text, count]) => new Option(`${text} (${count.toLocaleString()})`, value));
  select.replaceChildren(all, ...options);
  select.value = was;
  if (select.value !== was) select.value = "";
}

function tally() {
  const total = numbers.length, done = decided.size;
  $("count").textContent = `${done.toLocaleString()} of ${total.toLocaleString()} decided`;
  $("part").style.width = total ? `${(100 * done) / total}%` : "0";
}

async function fetchCards(first, last) {
  const ahead = Math.min(numbers.length - 1, last + 60), wanted = []; // whoever is fast with the keys is not to wait
  for (let index = Math.max(0, first - grid.columns); index <= ahead; index++) {
    const number = numbers[index];
    if (!known.has(number) && !asked.has(number)) wanted.push(number);
  }
  for (let from = 0; from < wanted.length; from += 100) await take(wanted.slice(from, from + 100));
}

async function take(wanted) {
  wanted.forEach((number) => asked.add(number));
  try {
    (await get("cards", { n: wanted.join() })).forEach(learn);
  } catch (error) {
    warn(error);
  } finally {
    wanted.forEach((number) => asked.delete(number));
  }
}

function learn(card) {
  known.set(card.n, card);
  const index = places.get(card.n), element = grid.elements.get(index);
  if (element) cards.get(element).update(card, { now: isNow && index === current });
  if (large.isOpen && index === current) large.show(card, position());
}

// which photo is the current one

const range = () => (anchor === null ? [current, current] : [Math.min(anchor, current), Math.max(anchor, current)]);
const position = () => `${(current + 1).toLocaleString()} of ${numbers.length.toLocaleString()}`;

function isChosen(index) {
  const [first, last] = range();
  return first !== last && index >= first && index <= last;
}

function go(index, { extend = false, focused = true } = {}) {
  if (!numbers.length) return;
  index = Math.max(0, Math.min(numbers.length - 1, index));
  if (isNow) showNow(false);
  anchor = extend ? anchor ?? current : null;
  current = grid.current = index;
  grid.reveal(index);
  marks();
  if (focused) focus();
  const [first, last] = range();
  if (last > first) say(`${last - first + 1} photos chosen`);
  if (large.isOpen) openLarge();
}

function marks() {
  for (const [at, element] of grid.elements) cards.get(element).mark(at === current, isChosen(at));
}

function focus() {
  if (!large.isOpen) grid.elements.get(current)?.focus({ preventScroll: true });
}

async function openLarge() {
  const number = numbers[current];
  if (number === undefined) return;
  anchor = null; // what is decided there is decided of the one photo that is seen
  marks();
  if (!known.has(number)) await take([number]);
  const card = known.get(number);
  if (!card || numbers[current] !== number) return;
  large.show(card, position());
  const next = numbers[current + 1];
  if (next !== undefined) fetch(photo(next, 1600)).catch(() => {}); // so that it is there when it is wanted
}

function showNow(on) {
  isNow = on;
  const element = grid.elements.get(current), card = known.get(numbers[current]);
  if (element && card) cards.get(element).update(card, { now: on });
  large.now(on);
}

// verdicts

const WORDS = { accept: "Accepted", keep: "Kept as it is", turn: "Turned", skip: "Put off" };
const TURNED = { left: 270, right: 90, around: 180 };

function act(what) {
  const [first, last] = range(), card = known.get(numbers[current]);
  if (last > first) return judge(numbers.slice(first, last + 1), what, known);
  if (!card) return actLater(numbers[current], what);
  if (!card.judged) return say("This photo cannot be turned by orientd.");
  if (what === "accept" && card.choice === "turn") return go(current + 1); // as it is seen is how it was decided
  judge([card.n], what);
  if (!(what in TURNED)) go(current + 1);
}

// Keys may be faster than what is known of the photos.
async function actLater(number, what) {
  if (number === undefined) return;
  if (!(what in TURNED)) go(current + 1);
  await take([number]);
  if (known.get(number)?.judged) judge([number], what);
}

function judge(chosen, what) {
  if (what in TURNED) {
    const by = new Map();
    for (const number of chosen) {
      const card = known.get(number), turn = ((card?.shown ?? 0) + TURNED[what]) % 360;
      if (card?.judged) by.set(turn, [...(by.get(turn) ?? []), number]);
    }
    for (const [turn, some] of by) send(some, turn ? "turn" : "keep", turn || null);
  } else send(chosen, what, null);
}

function send(chosen, choice, turn) {
  if (chosen.length === 1) foretell(known.get(chosen[0]), choice, turn);
  unsent += 1;
  $("saving").hidden = false;
  sending = sending.then(async () => {
    try {
      const reply = await post("verdict", { numbers: chosen, choice, turn });
      took(reply);
      if (chosen.length > 1) {
        const left = chosen.length - reply.changed.length;
        say(`${WORDS[choice]}: ${reply.changed.length} photos` + (left ? `; ${left} ${choice === "accept" ? "that are no proposals were" : "could not be judged and were"} left` : ""), true);
      }
    } catch (error) {
      warn(error);
      await take(chosen.slice(0, 100));
    } finally {
      unsent -= 1;
      $("saving").hidden = !unsent;
    }
  });
  return sending;
}

// Shows a verdict before the server has noted it.
function foretell(card, choice, turn) {
  const shown = { accept: card.choice ? card.turn : card.shown, keep: 0, turn, skip: card.turn }[choice];
  learn({ ...card, choice, shown });
  mark(card.n, choice !== "skip");
  say(`${WORDS[choice]}: ${card.name}. ${$("count").textContent}`);
}

function mark(number, isDecided) {
  if (!places.has(number)) return;
  if (isDecided) decided.add(number); else decided.delete(number);
  tally();
}

function took(reply) {
  for (const [number, isDecided] of reply.changed ?? []) mark(number, isDecided);
  if (unsent <= 1) (reply.cards ?? []).forEach(learn);
  const missing = (reply.changed ?? []).map(([number]) => number).filter((number) => !(reply.cards ?? []).some((card) => card.n === number));
  missing.forEach((number) => known.delete(number));
  if (missing.length) grid.render();
  panels.totals(reply);
}

async function takeBack() {
  await sending;
  try {
    const reply = await post("take-back");
    took(reply);
    if (!reply.changed.length) return say("There is nothing to take back.", true);
    say(`Taken back: ${reply.changed.length === 1 ? reply.cards[0]?.name ?? "one photo" : `${reply.changed.length} photos`}`);
    const index = places.get(reply.changed[0][0]);
    if (index !== undefined) go(index);
  } catch (error) {
    warn(error);
  }
}

// keys and pointers

const KEYS = { a: "accept", y: "accept", k: "keep", l: "left", r: "right", u: "around", s: "skip" };
const MOVES = {
  ArrowRight: () => current + 1, ArrowLeft: () => current - 1,
  ArrowDown: () => grid.down(current, 1), ArrowUp: () => grid.down(current, -1),
  PageDown: () => grid.down(current, grid.rows), PageUp: () => grid.down(current, -grid.rows),
  Home: () => 0, End: () => numbers.length - 1,
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog:not(#large), summary"), isButton = event.target.closest("button, a");
  if (event.altKey || (event.metaKey || event.ctrlKey) && event.key !== "z" || isTyping || document.querySelector("dialog[open]:not(#large)")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in MOVES) go(MOVES[key](), { extend: event.shiftKey && !large.isOpen });
  else if (key in KEYS && !event.repeat) act(KEYS[key]);
  else if (key === "z" && !event.repeat) takeBack();
  else if (key === " " && !isButton) { if (!event.repeat) showNow(true); }
  else if (key === "Enter" && !isButton) large.isOpen ? large.close() : openLarge();
  else if (key === "n") nextOpen();
  else if (key === "m" && !large.isOpen) panels.many();
  else if (key === "?") panels.keys();
  else if (key === "Escape" && !large.isOpen && anchor !== null) go(current);
  else return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => { if (event.key === " " && isNow) showNow(false); });
addEventListener("blur", () => { if (isNow) showNow(false); });

function nextOpen() {
  for (let step = 1; step <= numbers.length; step++) {
    const index = (current + step) % numbers.length;
    if (!decided.has(numbers[index])) return go(index);
  }
  say("Every photo here is decided.", true);
}

const indexOf = (event) => { const card = event.target.closest(".card"); return card ? Number(card.dataset.index) : null; };
let held = 0, wasHeld = false;

$("cards").addEventListener("click", (event) => {
  const index = indexOf(event), button = event.target.closest("button");
  if (index === null) return;
  if (wasHeld) { wasHeld = false; return; }
  if (button) {
    if (!isChosen(index)) go(index);
    act(button.dataset.do);
  } else {
    go(index, { extend: event.shiftKey });
    if (event.target.closest(".frame") && !event.shiftKey) openLarge();
  }
});
$("cards").addEventListener("focusin", (event) => {
  const index = indexOf(event);
  if (index !== null && index !== current) go(index, { focused: false });
});
for (const [area, start] of [[$("cards"), (event) => event.target.closest(".frame") && go(indexOf(event), { extend: event.shiftKey })], [$("stage"), () => {}]]) {
  area.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.closest(".frame, #stage")) return;
    wasHeld = false;
    held = setTimeout(() => { wasHeld = true; start(event); showNow(true); }, 250);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) area.addEventListener(end, () => { clearTimeout(held); if (isNow) showNow(false); });
  area.addEventListener("contextmenu", (event) => { if (wasHeld) event.preventDefault(); });
}
$("large-acts").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) act(button.dataset.do); });
$("undo").addEventListener("click", takeBack);
filters.addEventListener("change", () => list().catch(warn));
filters.addEventListener("submit", (event) => event.preventDefault());

// what is said

function say(text, seen = false) {
  $("live").textContent = text;
  if (seen) toast(text);
}

function warn(error) {
  toast(error.message === "Failed to fetch" ? "The server of this page does not answer: was orientd stopped?" : error.message);
}

let fading;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { $("toast").hidden = true; }, 5000);
}

// what others do: another page, a job

let isListed = false, polling;
const early = list().catch(() => false);

async function poll() {
  clearTimeout(polling);
  let isBusy = false;
  try {
    const reply = await get("state", version === null ? {} : { since: version });
    isBusy = panels.state(reply);
    if (reply.ready && !isListed) {
      isListed = true;
      if (!(await early)) await list();
      focus();
    } else if (reply.ready && !unsent) await follow(reply);
  } catch (error) {
    warn(error);
  }
  polling = setTimeout(poll, isBusy ? 300 : 1500);
}

async function follow(reply) {
  if (reply.version === version) return;
  version = reply.version;
  if (!reply.changed) return list();
  reply.changed.forEach(([number, isDecided]) => mark(number, isDecided));
  const seen = reply.changed.map(([number]) => number).filter((number) => known.has(number));
  const here = seen.filter((number) => grid.elements.has(places.get(number)));
  seen.forEach((number) => { if (!here.includes(number)) known.delete(number); });
  for (let from = 0; from < here.length; from += 100) await take(here.slice(from, from + 100));
}

addEventListener("focus", poll);
poll();
