// A list of any length as a grid: only the cards that can be seen are there.

const TITLE = 44, GAP = 14, WORDS = 146, TALLEST = 15_000_000; // pixels; browsers know no taller pages than some 17 million

export class Grid {
  // make(index) gives the element of a card, gone(element, index) is reply of one that is taken away, seen(first, last) of the range.
  constructor(scroller, titles, cards, { make, gone, seen }) {
    Object.assign(this, { scroller, titles, cards, make, gone, seen });
    this.elements = new Map();
    this.sections = [];
    this.length = this.left = 0;
    this.current = -1;
    scroller.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(scroller);
  }

  list(sections) {
    for (const [index, element] of this.elements) this.remove(index, element);
    this.sections = [];
    let start = 0;
    for (const { title, numbers } of sections) {
      this.sections.push({ title, start, count: numbers.length });
      start += numbers.length;
    }
    this.length = start;
    this.layout();
  }

  layout() {
    const inside = this.scroller.clientWidth, narrow = inside < 560;
    this.edge = narrow ? 12 : 16;
    const room = inside - 2 * this.edge;
    this.columns = narrow ? 1 : Math.max(2, Math.floor((room + GAP) / (268 + GAP)));
    this.width = Math.floor((room - (this.columns - 1) * GAP) / this.columns);
    this.picture = narrow ? Math.min(this.width, 300) : this.width;
    this.height = this.picture + WORDS;
    let top = 0;
    this.left = 0;
    for (const section of this.sections) {
      section.top = top;
      const fit = Math.max(0, Math.floor((TALLEST - top - TITLE) / (this.height + GAP))) * this.columns;
      section.shown = Math.min(section.count, fit);
      this.left += section.count - section.shown;
      top += TITLE + Math.ceil(section.shown / this.columns) * (this.height + GAP);
    }
    this.cards.style.height = `${top + 8}px`;
    for (const [index, element] of this.elements) this.place(index, element);
    this.render();
  }

  sectionAt(index) {
    let low = 0, high = this.sections.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.sections[middle].start <= index) low = middle; else high = middle - 1;
    }
    return this.sections[low];
  }

  topOf(index) {
    const section = this.sectionAt(index);
    return section.top + TITLE + Math.floor((index - section.start) / this.columns) * (this.height + GAP);
  }

  place(index, element) {
    const column = (index - this.sectionAt(index).start) % this.columns, style = element.style;
    style.left = `${this.edge + column * (this.width + GAP)}px`;
    style.top = `${this.topOf(index)}px`;
    style.width = `${this.width}px`;
    style.height = `${this.height}px`;
    element.sized?.(this.width, this.picture);
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.render(); });
  }

  // The indexes that can be seen, and some around them.
  range() {
    const above = this.scroller.scrollTop - this.height / 2, below = this.scroller.scrollTop + this.scroller.clientHeight * 1.5;
    const found = [];
    for (const section of this.sections) {
      if (section.top > below) break;
      const row = (y) => Math.floor((y - section.top - TITLE) / (this.height + GAP));
      const first = Math.max(0, row(above)), last = Math.min(Math.ceil(section.shown / this.columns) - 1, row(below));
      for (let index = first * this.columns; index < Math.min((last + 1) * this.columns, section.shown); index++) found.push(section.start + index);
    }
    return found;
  }

  render() {
    const seen = this.range(), wanted = new Set(seen);
    if (this.current >= 0 && this.current < this.length) wanted.add(this.current); // what has the focus stays
    for (const [index, element] of this.elements) if (!wanted.has(index)) this.remove(index, element);
    let next = null;
    for (const index of [...wanted].sort((a, b) => b - a)) {
      let element = this.elements.get(index);
      if (!element) {
        element = this.make(index);
        this.elements.set(index, element);
        this.place(index, element);
        this.cards.insertBefore(element, next);
      }
      next = element;
    }
    this.headings();
    if (seen.length) this.seen(seen[0], seen.at(-1));
  }

  headings() {
    const from = this.scroller.scrollTop - 200, to = this.scroller.scrollTop + this.scroller.clientHeight + 200;
    const shown = this.sections.filter((section) => section.top >= from && section.top <= to);
    this.titles.replaceChildren(...shown.map((section) => {
      const heading = document.createElement("h2"), number = document.createElement("span");
      heading.style.top = `${section.top}px`;
      number.textContent = `  ${section.count.toLocaleString()}` + (section.shown < section.count ? `, of which the first ${section.shown.toLocaleString()} are shown: choose a folder to see the others` : "");
      heading.append(section.title, number);
      return heading;
    }));
  }

  remove(index, element) {
    this.elements.delete(index);
    element.remove();
    this.gone(element, index);
  }

  reveal(index) {
    const top = this.topOf(index), view = this.scroller;
    if (top - TITLE < view.scrollTop) view.scrollTop = top - TITLE;
    else if (top + this.height + GAP > view.scrollTop + view.clientHeight) view.scrollTop = top + this.height + GAP - view.clientHeight;
    this.render();
  }

  // The index so many rows further down.
  down(index, rows) {
    const section = this.sectionAt(index), at = this.sections.indexOf(section), column = (index - section.start) % this.columns;
    const row = Math.floor((index - section.start) / this.columns) + rows, last = Math.ceil(section.shown / this.columns) - 1;
    if (row >= 0 && row <= last) return section.start + Math.min(row * this.columns + column, section.shown - 1);
    const other = this.sections[at + Math.sign(rows)];
    if (!other) return row < 0 ? section.start : section.start + section.shown - 1;
    const its = rows > 0 ? 0 : Math.ceil(other.shown / this.columns) - 1;
    return other.start + Math.min(its * this.columns + column, other.shown - 1);
  }

  get rows() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / (this.height + GAP)));
  }
}
