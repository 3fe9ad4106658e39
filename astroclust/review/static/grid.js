// Grid of all stamps; only stamps in view are drawn.

import { labelShapeOf, shapeOf } from "./shapes.js";

const GAP = 6;
const FOOT = 20; // height of the line below a stamp
const MARGIN = 2; // lines drawn beyond the view

export class Grid {
  constructor(root, state, pictures) {
    Object.assign(this, { root, state, pictures, size: 104, cells: new Map() });
    this.field = document.createElement("div");
    this.field.className = "cells";
    this.empty = document.createElement("p");
    this.empty.className = "empty";
    this.empty.textContent = "No objects are shown; select other classes, or show all.";
    root.append(this.field, this.empty);
    root.addEventListener("scroll", () => this.later(), { passive: true });
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("dblclick", () => state.setView("single"));
    new ResizeObserver(() => this.layOut()).observe(root);
    pictures.addEventListener("loaded", () => this.later());
    state.on("arranged", () => this.renew());
    state.on("chosen", () => this.show());
    state.on("labeled saved picture", () => this.later());
  }

  click(event) {
    const cell = event.target.closest(".cell");
    if (cell) this.state.choose(Number(cell.dataset.row));
  }

  resize(size) {
    this.size = size;
    this.layOut();
    this.show();
  }

  get visible() {
    return this.state.view === "grid";
  }

  renew() {
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.layOut();
  }

  layOut() {
    if (!this.visible || !this.root.clientWidth) return;
    const width = this.root.clientWidth - GAP;
    this.columns = Math.max(1, Math.floor(width / (this.size + GAP)));
    this.line = this.size + FOOT + GAP;
    this.left = Math.floor((width - this.columns * (this.size + GAP)) / 2) + GAP;
    const lines = Math.ceil(this.state.order.length / this.columns);
    this.field.style.height = `${lines * this.line + GAP}px`;
    this.empty.hidden = lines > 0;
    this.root.style.setProperty("--stamp", `${this.size}px`);
    this.draw();
  }

  // Scroll to the selected object.
  show() {
    const position = this.state.position[this.state.chosen];
    if (!this.visible || position < 0 || !this.columns) return;
    const top = Math.floor(position / this.columns) * this.line;
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    else if (top + this.line + GAP > scrollTop + clientHeight) {
      this.root.scrollTop = top + this.line + GAP - clientHeight;
    }
    this.draw();
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  // Positions in view, with a margin.
  range() {
    const { scrollTop, clientHeight } = this.root;
    const first = Math.floor(scrollTop / this.line) - MARGIN;
    const last = Math.ceil((scrollTop + clientHeight) / this.line) + MARGIN;
    const n = this.state.order.length;
    return [Math.max(0, first * this.columns), Math.min(n, last * this.columns)];
  }

  draw() {
    if (!this.visible || !this.columns) return;
    const { order, picture } = this.state;
    const [first, last] = this.range();
    const spare = [];
    for (const [position, cell] of this.cells) {
      if (position >= first && position < last) continue;
      this.cells.delete(position);
      spare.push(cell);
    }
    for (let position = first; position < last; position++) {
      let cell = this.cells.get(position);
      if (!cell) {
        cell = spare.pop() ?? this.field.appendChild(makeCell());
        this.cells.set(position, cell);
        cell.dataset.row = order[position];
        cell.id = `cell-${position}`;
      }
      this.put(cell, position);
      this.fill(cell, position);
    }
    spare.forEach((cell) => cell.remove());
    const inView = order.slice(first, last).filter((row) => this.state.data.inside[row]);
    this.pictures.want(picture, inView);
    this.root.setAttribute("aria-activedescendant", `cell-${this.state.position[this.state.chosen]}`);
    if (!this.painted && inView.every((row) => this.pictures.tile(picture, row))) this.mark();
  }

  put(cell, position) {
    const x = this.left + (position % this.columns) * (this.size + GAP);
    const y = Math.floor(position / this.columns) * this.line + GAP;
    const transform = `translate(${x}px, ${y}px)`;
    if (cell.transform === transform) return;
    cell.transform = transform;
    cell.style.transform = transform;
  }

  // For the benchmark: time at which the first stamps are painted.
  mark() {
    this.painted = true;
    requestAnimationFrame(() => setTimeout(() => performance.mark("first-stamps")));
  }

  fill(cell, position) {
    const { state } = this;
    const row = Number(cell.dataset.row);
    const [stamp, mine, model, number] = cell.children;
    this.paint(stamp, row);
    const label = state.labelOf(row);
    const given = state.modelClass(row);
    const caption = this.caption(row);
    const chosen = row === state.chosen;
    const unsaved = state.unsaved.has(row);
    const differ = new Set(state.votesOf(row).map((vote) => vote.label)).size > 1;
    // Most cells have not changed since they were last drawn.
    const drawn = [row, position, state.order.length, label, given, caption, chosen, unsaved, differ].join();
    if (cell.drawn === drawn) return;
    cell.drawn = drawn;
    cell.setAttribute("aria-selected", chosen);
    cell.classList.toggle("unsaved", unsaved);
    cell.classList.toggle("differ", differ);
    mine.textContent = label && state.confirms ? labelShapeOf(label) : label || "";
    mine.dataset.label = label;
    model.textContent = given ? `${shapeOf(given)} ${given}` : "";
    model.dataset.class = given;
    number.textContent = caption;
    cell.setAttribute("aria-posinset", position + 1);
    cell.setAttribute("aria-setsize", state.order.length);
    const none = state.isHidden(row) ? "class hidden" : "not classified";
    const said = given ? `class ${given}, ${state.data.classes[given]}, ${caption}` : none;
    const name = `object ${state.data.ids[row]}, ${said}${label ? `, your label ${state.sayLabel(label)}` : ""}`;
    cell.setAttribute("aria-label", name);
  }

  // Value by which the stamps are sorted.
  caption(row) {
    const { key } = this.state.sort;
    if (this.state.isHidden(row)) return this.state.data.ids[row];
    if (key === "entropy") return format("S", this.state.value(row));
    if (key === "disagreement") return format("D", this.state.value(row));
    const probability = this.state.columns.probability;
    return probability ? format("p", probability[row]) : this.state.data.ids[row];
  }

  paint(stamp, row) {
    const { picture, data } = this.state;
    if (!data.inside[row]) {
      stamp.textContent = "outside the image";
      stamp.style.backgroundImage = "";
      stamp.dataset.drawn = "";
      return;
    }
    const tile = this.pictures.tile(picture, row);
    const drawn = tile ? `${picture} ${row} ${this.size}` : "";
    if (stamp.dataset.drawn === drawn) return;
    stamp.dataset.drawn = drawn;
    stamp.textContent = "";
    if (!tile) {
      stamp.style.backgroundImage = "";
      return;
    }
    stamp.style.backgroundImage = `url("${tile.url}")`;
    stamp.style.backgroundPosition = `${-tile.column * this.size}px ${-tile.line * this.size}px`;
    stamp.style.backgroundSize = `${this.pictures.columns * this.size}px auto`;
  }
}

function makeCell() {
  const cell = document.createElement("div");
  cell.className = "cell";
  cell.setAttribute("role", "option");
  for (const name of ["stamp", "mine", "model", "number"]) {
    const part = document.createElement(name === "stamp" ? "div" : "span");
    part.className = name;
    cell.append(part);
  }
  return cell;
}

function format(letter, value) {
  return Number.isFinite(value) ? `${letter} ${value.toFixed(2)}` : "";
}
