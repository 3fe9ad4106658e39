// Labels on their way to the disk: shown at once, sent in order, tried again until they are saved.

const AGAIN_AFTER = 3000; // ms

export class Saver {
  constructor(source, state, status, alarm) {
    Object.assign(this, { source, state, status, alarm });
    this.key = `astroclust-unsaved:${state.data.labels_file}`;
    this.waiting = [];
    this.done = [];
    this.next = 0;
    this.generation = 0;
    addEventListener("beforeunload", (event) => {
      if (this.waiting.length) event.preventDefault();
    });
  }

  // Change the label or the note of an object, in such a way that it can be undone.
  change(row, { label, note }, reviewer = this.state.me) {
    const { state } = this;
    const before = { label: state.labelOf(row, reviewer), note: state.noteOf(row, reviewer) };
    const after = { label: label ?? before.label, note: note ?? before.note };
    if (after.label === before.label && after.note === before.note) return;
    this.done.push({ row, before, reviewer });
    this.put(row, after, reviewer);
  }

  undo() {
    const last = this.done.pop();
    if (!last) return null;
    this.put(last.row, last.before, last.reviewer);
    return last.row;
  }

  put(row, { label, note }, reviewer) {
    const { state } = this;
    // A label that stays as it is, as under a new note, is as blind as it was.
    const same = label && label === state.labelOf(row, reviewer);
    const blind = same ? state.isBlind(row, reviewer) : state.isHidden(row, reviewer);
    state.take(row, reviewer, label || null, note, blind);
    this.waiting.push({ row, class: label || null, note, reviewer, blind, order: state.orderName() });
    this.keep();
    this.state.tell("labeled", row);
    this.send();
  }

  // What was not saved outlives a reload.
  keep() {
    this.state.unsaved = new Set(this.waiting.map(({ row }) => row));
    try {
      if (this.waiting.length) localStorage.setItem(this.key, JSON.stringify(this.waiting));
      else localStorage.removeItem(this.key);
    } catch {
      // A browser that keeps nothing: beforeunload warns.
    }
  }

  restore() {
    try {
      this.waiting = JSON.parse(localStorage.getItem(this.key)) ?? [];
    } catch {
      this.waiting = [];
    }
    this.waiting = this.waiting.filter(({ row }) => row < this.state.n);
    for (const e of this.waiting) this.state.take(e.row, e.reviewer, e.class, e.note, e.blind);
    this.keep();
    if (this.waiting.length) this.send();
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    this.show("saving …");
    while (this.waiting.length) {
      const entry = this.waiting[0];
      try {
        await this.source.save(entry);
      } catch (error) {
        this.sending = false;
        if (error.refused) this.drop(entry, error);
        else this.fail(error);
        return;
      }
      this.waiting.shift();
      this.keep();
      this.state.tell("saved", entry.row);
    }
    this.sending = false;
    if (!this.alarm.textContent.includes("refused")) this.alarm.hidden = true;
    this.show("saved");
  }

  show(text) {
    this.status.textContent = text;
    this.status.dataset.state = text.split(" ")[0];
  }

  fail(error) {
    const n = this.waiting.length;
    this.show(`${n} not saved`);
    this.status.dataset.state = "failed";
    this.alarm.replaceChildren();
    const text = document.createElement("span");
    text.textContent = `${n === 1 ? "A change is" : `${n} changes are`} not saved: ${error.message}`;
    const again = document.createElement("button");
    again.textContent = "Try again";
    again.addEventListener("click", () => this.send());
    this.alarm.append(text, again);
    this.alarm.hidden = false;
    this.state.tell("saved");
    this.timer = setTimeout(() => this.send(), AGAIN_AFTER);
  }

  // What will never be saved is taken back, and does not hold up what can be.
  drop(entry, error) {
    this.waiting.shift();
    this.keep();
    this.next = this.generation = 0; // read all anew
    this.alarm.textContent = `A change was refused and taken back: ${error.message}`;
    this.alarm.hidden = false;
    this.show("refused");
    this.listen().catch(() => {});
    if (this.waiting.length) this.send();
  }

  // Read what others have labeled since.
  async listen() {
    const { state } = this;
    const news = await this.source.labels(this.next, this.generation);
    const anew = news.generation !== this.generation;
    if (anew) state.forget();
    for (const entry of news.entries) state.take(...entry);
    for (const e of this.waiting) state.take(e.row, e.reviewer, e.class, e.note, e.blind);
    this.generation = news.generation;
    this.next = news.next;
    if (anew || news.entries.length) state.tell("labeled");
  }
}
