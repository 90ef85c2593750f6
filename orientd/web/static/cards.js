// One photo as a card. All that comes from the plan is set as text, never as HTML.

import { drop, photo, show } from "./api.js";

export const TURNS = { 0: "as it is", 90: "turn right", 180: "turn upside down", 270: "turn left" };
const ICONS = { 90: "right", 180: "around", 270: "left" };
const DECISIONS = { fix: "proposal", unsure: "unsure", keep: "upright", skip: "left alone", error: "not readable" };
const CHOICES = { accept: "Accepted", keep: "Kept as it is", turn: "Turned by you", skip: "Later" };
const ENDS = { done: "Done", unchanged: "Was so already", failed: "Not turned", undone: "", changed: "Changed since" };
export const ACTIONS = [
  ["accept", "Accept", "Accept: turn it as you see it (A)", ""],
  ["keep", "Keep", "Keep it as it is now (K)", ""],
  ["left", "", "Turn what you see left (L)", "left"],
  ["right", "", "Turn what you see right (R)", "right"],
  ["around", "", "Turn what you see upside down (U)", "around"],
  ["skip", "", "Skip it for later (S)", "later"],
];

export function made(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS(svg.namespaceURI, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function actions() {
  return ACTIONS.map(([what, text, title, image]) => {
    const button = made("button");
    Object.assign(button, { type: "button", title });
    button.dataset.do = what;
    button.setAttribute("aria-label", title.replace(/ \(.\)$/, ""));
    if (image) button.append(icon(image));
    if (text) button.append(made("span", "", text));
    return button;
  });
}

export const percent = (chance) => chance == null ? "" : chance >= 0.995 && chance < 1 ? `${Math.floor(chance * 1000) / 10} %` : `${Math.round(chance * 100)} %`;
export const stateOf = (card) => ENDS[card.done] || CHOICES[card.choice] || "";
export const turnOf = (card) => (card.decision === "unsure" && (!card.choice || card.choice === "skip") ? "perhaps " : "") + TURNS[card.shown];
export const label = (card) => [card.name, DECISIONS[card.decision], turnOf(card), percent(card.chance), stateOf(card)].filter(Boolean).join(", ");

// Turns an image in a box of this size so that it fits, the shorter way round.
export function turn(image, degrees, width, height) {
  const before = Number(image.dataset.turn || 0), way = ((degrees - before) % 360 + 540) % 360 - 180;
  const now = image.dataset.turn === undefined ? degrees : before + way, across = now % 180 !== 0;
  image.dataset.turn = now;
  image.style.width = `${across ? height : width}px`;
  image.style.height = `${across ? width : height}px`;
  image.style.transform = `translate(-50%, -50%) rotate(${now}deg)`;
}

export class Card {
  constructor(index, length) {
    const element = this.element = made("article", "card");
    element.dataset.index = index;
    element.tabIndex = -1;
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-setsize", length);
    this.frame = made("div", "frame");
    this.image = made("img");
    Object.assign(this.image, { alt: "", draggable: false, decoding: "async" });
    this.turned = made("span", "tag turn");
    this.state = made("span", "tag state");
    this.frame.append(this.image, this.turned, this.state);
    this.meta = made("div", "meta");
    this.acts = made("div", "acts");
    this.acts.append(...actions());
    element.append(this.frame, this.meta, this.acts);
    element.sized = (width, height) => { this.box = [width - 14, height - 12]; this.frame.style.height = `${height}px`; this.pose(); };
    this.image.addEventListener("missing", async () => {
      const answer = await fetch(this.image.dataset.url).catch(() => null);
      if (answer && !answer.ok) this.missing(await answer.text());
    });
    this.state.hidden = this.turned.hidden = true;
  }

  update(card, { now = false } = {}) {
    this.card = card;
    this.now = now;
    const { element, meta } = this;
    element.setAttribute("aria-label", label(card));
    this.turned.className = `tag turn ${card.shown ? card.decision : "still"}`;
    this.turned.replaceChildren(...(ICONS[card.shown] ? [icon(ICONS[card.shown])] : []), turnOf(card));
    this.turned.hidden = false;
    const state = stateOf(card);
    this.state.className = `tag state ${ENDS[card.done] ? card.done : card.choice}`;
    this.state.textContent = state;
    this.state.hidden = !state;
    const name = made("h3"), chance = made("b", "", card.judged ? percent(card.chance) : "");
    chance.title = "How likely this turn is, by all that was looked at";
    name.append(made("span", "", card.name), chance);
    const where = made("p", "where", [card.folder.split("/").slice(-2).join("/"), card.about].filter(Boolean).join(" · "));
    where.title = `${card.folder}/${card.name}`;
    const said = made("p", "said", card.doneReason || (card.decision === "skip" || card.decision === "error" ? card.reason : card.said.join(" · ") || card.reason));
    said.title = [card.doneReason, card.reason, ...card.said].filter(Boolean).join("\n");
    meta.replaceChildren(name, where, said);
    for (const button of this.acts.children) {
      button.disabled = !card.judged;
      button.setAttribute("aria-pressed", button.dataset.do === card.choice);
    }
    this.pose();
    if (card.decision === "error") this.missing(card.reason);
    else show(this.image, photo(card.n, 320, `${card.done}${card.run || ""}`));
  }

  pose() {
    if (this.card && this.box) turn(this.image, this.now ? 0 : this.card.shown, ...this.box);
    this.element.classList.toggle("now", Boolean(this.now));
  }

  missing(why) {
    if (this.frame.querySelector(".none")) return;
    this.frame.prepend(made("p", "none", why));
  }

  mark(current, chosen) {
    this.element.classList.toggle("current", current);
    this.element.classList.toggle("chosen", chosen);
    this.element.tabIndex = current ? 0 : -1;
    for (const button of this.acts.children) button.tabIndex = current ? 0 : -1;
  }

  leave() {
    drop(this.image);
  }
}
