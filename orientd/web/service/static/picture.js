// One picture as a card: how it was sent, what was found, and upright. All that comes from files and the service is set as text.

import { ask, isBusy } from "./queue.js";

const TURNS = { 0: "as it is", 90: "turn right", 180: "upside down", 270: "turn left" };
const ICONS = { 0: "yes", 90: "right", 180: "around", 270: "left" };
const VERDICTS = { 90: "Turn it right", 180: "Turn it upside down", 270: "Turn it left" };
const WITNESSES = { scene: "Scene", "scene-288": "Scene, closer", pages: "Text", faces: "Faces", people: "People", surroundings: "Surroundings", things: "Things" };
const ENDINGS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/tiff": "tif", "image/heic": "heic", "image/avif": "avif" };
const BY_PREVIEW = ["png", "webp"]; // what they store of their orientation browsers may not obey

function made(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS(svg.namespaceURI, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const percent = (share) => share > 0 && share < 0.0005 ? "< 0.1 %" : share === 0 || share === 1 ? `${100 * share} %` : `${(Math.min(999, Math.round(share * 1000)) / 10).toFixed(1)} %`;
const size = (bytes) => bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const seconds = (time) => `${time.toFixed(2)} s`;

export class Picture {
  // `changed` is called when its state has.
  constructor(file, changed) {
    this.file = file;
    this.changed = changed;
    this.url = URL.createObjectURL(file);
    this.state = "waiting";
    this.element = made("li", "picture waiting");
    this.stage = made("div", "stage");
    this.told = made("div", "told");
    this.title = made("h3", "", file.name || "Pasted picture");
    this.element.append(this.stage, this.told);
    this.wait("Waiting for its turn…");
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  wait(why) {
    const none = made("div", "none");
    none.append(made("div", "spin"));
    this.stage.replaceChildren(none);
    this.told.replaceChildren(this.title, made("p", "", why));
  }

  async look() {
    const begun = performance.now();
    try {
      const response = await ask(this.file, "?detail=full", (seconds) => this.wait(`The service is busy: asked again in ${seconds} s…`));
      if (!response.ok) throw await fault(response);
      const said = await response.json();
      this.found = said.images[0];
      this.state = this.found.decision;
      this.show((performance.now() - begun) / 1000);
    } catch (error) {
      const isOver = error instanceof Fault && !error.isBusy;
      this.state = isOver ? "error" : "busy";
      this.fail(error, isOver);
    }
    this.element.classList.remove("waiting");
    this.changed();
  }

  again() {
    this.state = "waiting";
    this.element.classList.replace("broken", "waiting");
    this.wait("Waiting for its turn…");
    this.changed();
    this.look();
  }

  close() {
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  // `isOver`: asking again would not help.
  fail(error, isOver) {
    this.element.classList.add("broken");
    const verdict = made("p", "verdict error"), none = made("div", "none");
    verdict.append(icon("no"), isOver ? "Not readable" : "Not looked at");
    none.append(icon("no"));
    this.stage.replaceChildren(none);
    this.told.replaceChildren(this.title, verdict, made("p", "why", sentence(error.message)));
    if (error.code) this.told.append(made("p", "time", `reason: ${error.code}`));
    if (!isOver) this.told.append(this.button("Try again", () => this.again()));
  }

  show(took) {
    const found = this.found, file = `${found.format.toUpperCase()} · ${found.width.toLocaleString("en")} × ${found.height.toLocaleString("en")} · ${size(this.file.size)}`;
    const name = made("div"), time = `Judged in ${seconds(found.seconds.took)}, after waiting ${seconds(found.seconds.waited)}; ${seconds(took)} with the way there and back.`;
    name.append(this.title, made("p", "file", file));
    this.told.replaceChildren(name, this.verdict(), this.bars(), this.heard(), this.tools(), made("p", "time", time));
    if (found.reason) this.told.children[1].after(made("p", "why", sentence(found.reason)));
    this.upright = found.decision === "fix";
    this.load();
  }

  verdict() {
    const { decision, turn, confidence } = this.found, verdict = made("p", `verdict ${decision}`);
    const words = { fix: VERDICTS[turn], keep: "Upright as it is", unsure: turn ? `Not sure: perhaps ${TURNS[turn]}` : "Not sure" }[decision];
    verdict.append(icon(decision === "unsure" ? "ask" : decision === "fix" ? ICONS[turn] : "yes"), words, made("span", "", `${percent(confidence)} sure`));
    return verdict;
  }

  bars() {
    const list = made("ol", "bars"), shares = this.found.probabilities.map((share, place) => [share, 90 * place]);
    list.setAttribute("aria-label", "How probable each turn is, by what the picture shows");
    for (const [share, turn] of shares.sort((one, other) => other[0] - one[0])) {
      const row = made("li"), what = made("span", "turn");
      what.append(icon(ICONS[turn]), TURNS[turn]);
      row.append(what, bar(share), made("span", "share", percent(share)));
      list.append(row);
    }
    return list;
  }

  heard() {
    const part = made("div", "heard"), list = made("ul");
    part.append(made("h4", "", "What each network says"), list);
    for (const one of this.found.witnesses) list.append(witness(one));
    if (this.found.witnesses.some((one) => one.scores && !one.asked)) part.append(made("p", "silent", "Not asked: a scan decides without it."));
    part.hidden = !this.found.witnesses.length;
    return part;
  }

  tools() {
    const { decision, turn } = this.found, tools = made("div", "tools");
    if (turn) {
      const other = made("button", "", decision === "fix" ? "As it was sent" : "As it would be");
      other.type = "button";
      other.setAttribute("aria-pressed", "false");
      other.addEventListener("click", () => {
        this.upright = !this.upright;
        other.setAttribute("aria-pressed", String(this.upright !== (decision === "fix")));
        this.fit();
      });
      tools.append(other);
    }
    const save = this.button("Download upright", () => this.save(save));
    tools.append(save);
    return tools;
  }

  button(text, does) {
    const button = made("button", "", text);
    button.type = "button";
    button.addEventListener("click", does);
    return button;
  }

  async save(button) {
    button.disabled = true;
    try {
      const response = await ask(this.file, "?return=image");
      if (!response.ok) throw await fault(response);
      const blob = await response.blob(), link = made("a"), url = URL.createObjectURL(blob);
      link.href = url;
      link.download = `${(this.file.name || "picture").replace(/\.[^.]*$/, "")}-upright.${ENDINGS[blob.type] || "jpg"}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      button.after(made("p", "why", sentence(error.message)));
    }
    button.disabled = false;
  }

  load() {
    const { format, orientation } = this.found;
    this.turning = made("div", "turning");
    this.image = made("img");
    this.image.alt = `${this.title.textContent}, as it is shown upright`;
    this.image.decoding = "async";
    this.image.addEventListener("load", () => this.fit());
    this.image.addEventListener("error", () => this.preview(), { once: true });
    this.turning.append(this.image, ...this.frames());
    this.stage.replaceChildren(this.turning);
    if (BY_PREVIEW.includes(format) && orientation > 1) this.preview();
    else this.image.src = this.url;
  }

  async preview() {
    const response = await ask(this.file, "?return=preview").catch(() => null);
    if (!response?.ok) return this.stage.append(made("div", "none", "This browser cannot show it."));
    URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(await response.blob());
    this.image.src = this.url;
    return null;
  }

  frames() {
    const certain = (one) => one.frames.filter((frame) => one.name === "faces" || frame.sure >= 0.5);
    return this.found.witnesses.flatMap((one) => certain(one).map((frame) => {
      const box = made("div", `seen ${one.name === "faces" ? "face" : "thing"}`), share = (value) => `${100 * value}%`;
      Object.assign(box.style, { left: share(frame.left), top: share(frame.top), width: share(frame.right - frame.left), height: share(frame.bottom - frame.top) });
      box.title = `${frame.what} ${percent(frame.sure)}`;
      return box;
    }));
  }

  // The picture as large as fits into its place, turned.
  fit() {
    const { naturalWidth: width, naturalHeight: height } = this.image || {};
    if (!width) return;
    const turn = this.upright ? this.found.turn : 0, across = turn % 180 !== 0, place = this.stage.getBoundingClientRect();
    const scale = Math.min((place.width - 16) / (across ? height : width), (place.height - 16) / (across ? width : height));
    const way = turn === 270 ? -90 : turn;
    Object.assign(this.turning.style, { width: `${width * scale}px`, height: `${height * scale}px`, transform: `translate(-50%, -50%) rotate(${way}deg)` });
  }
}

class Fault extends Error {
  constructor(message, code, isBusy) {
    super(message);
    this.code = code;
    this.isBusy = isBusy;
  }
}

// What an answer says that is no result; a proxy may have given it, and not as JSON.
async function fault(response) {
  const said = await response.json().catch(() => ({}));
  return new Fault(said.error || `the service answered with status ${response.status}`, said.reason_code, isBusy(response));
}

function bar(share) {
  const track = made("div", "track"), part = made("div");
  part.style.width = `${100 * Math.min(1, share)}%`;
  track.append(part);
  track.setAttribute("aria-hidden", "true");
  return track;
}

function witness(one) {
  const row = made("li"), name = made("span", "", WITNESSES[one.name] || one.name);
  if (!one.scores) {
    row.append(name, made("span", "silent", "nothing to say"));
    return row;
  }
  const best = one.against.indexOf(Math.max(...one.against)), [first, second] = [...one.against].sort((a, b) => b - a);
  const what = made("span", "turn", TURNS[90 * best]), note = made("span", "note", [one.note, one.asked ? "" : "not asked"].filter(Boolean).join("; "));
  note.title = note.textContent;
  row.append(name, what, bar(one.cap ? (first - second) / one.cap : 0), note);
  return row;
}

const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";
