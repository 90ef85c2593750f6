// The large view of one photo.

import { photo } from "./api.js";
import { actions, label, percent, stateOf, turn, turnOf } from "./cards.js";

const $ = (id) => document.getElementById(id);

export class Large {
  constructor(closed) {
    this.dialog = $("large");
    this.image = $("large-photo");
    $("large-acts").append(...actions());
    this.dialog.addEventListener("close", closed);
    new ResizeObserver(() => this.pose()).observe($("stage"));
  }

  get isOpen() {
    return this.dialog.open;
  }

  show(card, position) {
    const url = photo(card.n, 1600, `${card.done}${card.run || ""}`), image = this.image;
    if (this.url !== url) {
      this.url = url;
      delete image.dataset.turn;
      image.src = photo(card.n, 320, `${card.done}${card.run || ""}`);
      const sharp = new Image();
      sharp.onload = () => { if (this.url === url) image.src = url; };
      sharp.src = url;
    }
    this.card = card;
    image.alt = label(card);
    $("large-name").textContent = card.name;
    $("large-text").textContent = [turnOf(card), percent(card.chance), stateOf(card), position, card.folder].filter(Boolean).join(" · ");
    $("large-said").textContent = card.said.join(" · ") || card.reason;
    for (const button of $("large-acts").children) {
      button.disabled = !card.judged;
      button.setAttribute("aria-pressed", button.dataset.do === card.choice);
    }
    if (!this.isOpen) this.dialog.showModal();
    this.pose();
  }

  now(isNow) {
    this.isNow = isNow;
    this.pose();
  }

  pose() {
    if (this.card && this.isOpen) turn(this.image, this.isNow ? 0 : this.card.shown, $("stage").clientWidth, $("stage").clientHeight);
  }

  close() {
    this.dialog.close();
  }
}
