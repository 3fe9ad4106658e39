// State of the page: objects, labels, and the objects shown and selected.

// Sorted in descending order: most probable, most uncertain or most disputed first.
export const DOWN = ["probability", "entropy", "disagreement"];

// Digits are for classes, so they neither confirm nor reject.
const CONFIRM_KEYS = ["y", "x"];

// Labels by key: the number of a class, or its index if numbers have several digits.
function keysOf(labels, confirms) {
  const short = labels.every((number) => number < 10);
  const plain = labels.map((number, i) => (short ? number : i + 1));
  return new Map((confirms ? CONFIRM_KEYS : plain).map((key, i) => [key, labels[i]]));
}

export class State extends EventTarget {
  constructor(data) {
    super();
    this.data = data;
    this.n = data.n;
    this.classes = Object.keys(data.classes).map(Number);
    this.labels = Object.keys(data.labels.classes).map(Number);
    this.confirms = data.confirm !== null;
    this.keys = keysOf(this.labels, this.confirms);
    this.columns = data.columns;
    this.me = data.reviewer || "";
    this.votes = new Map(); // reviewer in lower case to {name, labels, blind}
    this.seen = new Map(); // reviewer in lower case to whether they ever labeled each row
    this.notes = new Map(); // row to Map of reviewer to note
    this.picture = "color";
    this.blind = data.blind;
    this.marked = true; // a marker on each target
    this.wide = false; // show the surroundings instead of the stamp
    const key = { table: "row", uncertainty: "entropy", random: "random" }[data.order];
    this.sort = { key, down: DOWN.includes(key) };
    this.hidden = new Set(); // classes that are not shown
    this.shown = "all";
    this.order = [];
    this.position = new Int32Array(this.n).fill(-1);
    this.chosen = 0;
    this.unsaved = new Set();
  }

  tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  on(names, listener) {
    for (const name of names.split(" ")) this.addEventListener(name, listener);
  }

  // Whether classifier results and labels of others must still be hidden from the reviewer.
  isHidden(row, reviewer = this.me) {
    return this.blind && !this.seen.get(reviewer.toLowerCase())?.[row];
  }

  // Value from the classifier; null if missing or hidden.
  given(name, row) {
    return this.isHidden(row) ? null : (this.columns[name]?.[row] ?? null);
  }

  modelClass(row) {
    return this.given("class", row) ?? 0;
  }

  isBlind(row, reviewer = this.me) {
    return Boolean(this.votes.get(reviewer.toLowerCase())?.blind[row]);
  }

  labelOf(row, reviewer = this.me) {
    return this.votes.get(reviewer.toLowerCase())?.labels[row] ?? 0;
  }

  sayLabel(label) {
    return this.confirms ? this.data.labels.classes[label] : label;
  }

  noteOf(row, reviewer = this.me) {
    return this.notes.get(row)?.get(reviewer.toLowerCase())?.note ?? "";
  }

  // Notes by reviewer; only the reviewer's own while the others are hidden.
  notesOf(row) {
    const notes = this.notes.get(row) ?? new Map();
    if (!this.isHidden(row)) return notes;
    return new Map([...notes].filter(([key]) => key === this.me.toLowerCase()));
  }

  // The name and label of each reviewer who gave one.
  votesOf(row) {
    if (this.isHidden(row)) return [];
    const votes = [...this.votes.values()].map(({ name, labels }) => ({ name, label: labels[row] }));
    return votes.filter(({ label }) => label);
  }

  // Apply an entry of a reviewer.
  take(row, reviewer, label, note, blind) {
    const key = reviewer.toLowerCase();
    if (!this.votes.has(key)) {
      const [labels, blinds] = [new Int16Array(this.n), new Uint8Array(this.n)];
      this.votes.set(key, { name: reviewer, labels, blind: blinds });
    }
    this.votes.get(key).labels[row] = label ?? 0;
    this.votes.get(key).blind[row] = Boolean(label && blind);
    if (!this.seen.has(key)) this.seen.set(key, new Uint8Array(this.n));
    if (label) this.seen.get(key)[row] = 1;
    if (!this.notes.has(row)) this.notes.set(row, new Map());
    this.notes.get(row).set(key, { name: reviewer, note });
  }

  forget() {
    this.votes.clear();
    this.notes.clear();
  }

  labeled() {
    const labels = this.votes.get(this.me.toLowerCase())?.labels ?? [];
    return labels.reduce((sum, label) => sum + (label > 0), 0);
  }

  // Number of objects with this label from the reviewer.
  countOf(wanted) {
    const labels = this.votes.get(this.me.toLowerCase())?.labels ?? [];
    return labels.reduce((sum, label) => sum + (label === wanted), 0);
  }

  // Fraction of votes that are not for the most common class, counting the classifier as a reviewer;
  // or, before anyone has voted, of the votes in the ensemble.
  disagreement(row) {
    const votes = this.votesOf(row).map(({ label }) => label);
    if (!votes.length) return 1 - (this.given("agreement", row) ?? 1);
    // The classifier does not vote on its own class.
    if (this.modelClass(row) && !this.confirms) votes.push(this.modelClass(row));
    const counts = this.labels.map((c) => votes.filter((vote) => vote === c).length);
    return 1 - Math.max(...counts) / votes.length;
  }

  value(row, key = this.sort.key) {
    if (key === "row") return row;
    if (key === "disagreement") return this.disagreement(row);
    if (key === "label") return this.labelOf(row) || 32768; // after all classes
    if (key === "class") return this.modelClass(row) || 32768; // after all classes
    // Sorting by uncertainty is allowed in blind reviews.
    if (key === "entropy") return this.columns.entropy?.[row] ?? NaN;
    if (key === "random") return this.data.random[row];
    return this.given(key, row) ?? NaN;
  }

  // Current order, which is saved with each label.
  orderName() {
    const { key, down } = this.sort;
    const name = { row: "table", entropy: "uncertainty" }[key] ?? key;
    const seed = key === "random" ? ` seed=${this.data.seed}` : "";
    return name + seed + (down === DOWN.includes(key) ? "" : " reversed");
  }

  isShown(row) {
    if (this.hidden.has(this.modelClass(row))) return false;
    const mine = this.labelOf(row);
    switch (this.shown) {
      case "open":
        return !mine;
      case "mine":
        return mine > 0;
      case "tied":
        return new Set(this.votesOf(row).map(({ label }) => label)).size > 1;
      case "noted":
        return [...this.notesOf(row).values()].some(({ note }) => note);
      default:
        return true;
    }
  }

  // Sort and filter. Labels never move stamps.
  arrange() {
    const rows = [];
    for (let row = 0; row < this.n; row++) if (this.isShown(row)) rows.push(row);
    const values = new Float64Array(this.n);
    for (const row of rows) values[row] = this.value(row);
    const sign = this.sort.down ? -1 : 1;
    rows.sort((a, b) => {
      const [u, v] = [values[a], values[b]];
      if (Number.isNaN(u) || Number.isNaN(v)) return Number.isNaN(u) - Number.isNaN(v) || a - b;
      return sign * (u - v) || a - b;
    });
    this.order = rows;
    this.position.fill(-1);
    rows.forEach((row, i) => (this.position[row] = i));
    if (this.position[this.chosen] < 0 && rows.length) this.chosen = rows[0];
    this.tell("arranged");
    this.tell("chosen");
  }

  choose(row) {
    if (row === undefined || row < 0 || row >= this.n) return;
    this.chosen = row;
    this.tell("chosen");
  }

  move(steps) {
    if (!this.order.length) return;
    const here = this.position[this.chosen];
    const there = Math.min(Math.max((here < 0 ? -1 : here) + steps, 0), this.order.length - 1);
    this.choose(this.order[there]);
  }

  // Most uncertain object shown that is not labeled by the reviewer.
  nextUncertain() {
    let best = -1;
    let most = -Infinity;
    for (const row of this.order) {
      if (this.labelOf(row) || row === this.chosen) continue;
      const entropy = this.columns.entropy?.[row] ?? -1;
      if (entropy > most) [best, most] = [row, entropy];
    }
    return best;
  }

  // Toggle the marker or the surroundings.
  toggle(name) {
    this[name] = !this[name];
    this.tell("overlay");
  }

  setView(view) {
    if (view === this.view) return;
    this.view = view;
    this.tell("view");
  }
}
