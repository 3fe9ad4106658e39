// Saving of labels: shown immediately, sent in order, retried until saved.

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

  // Change the label or note of an object; changes can be undone.
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
    // If the label does not change, as with a new note, neither does whether it is blind.
    const same = label && label === state.labelOf(row, reviewer);
    const blind = same ? state.isBlind(row, reviewer) : state.isHidden(row, reviewer);
    state.take(row, reviewer, label || null, note, blind);
    this.waiting.push({ row, class: label || null, note, reviewer, blind, order: state.orderName() });
    this.keep();
    this.state.tell("labeled", row);
    this.send();
  }

  // Unsaved changes survive a reload.
  keep() {
    this.state.unsaved = new Set(this.waiting.map(({ row }) => row));
    try {
      if (this.waiting.length) localStorage.setItem(this.key, JSON.stringify(this.waiting));
      else localStorage.removeItem(this.key);
    } catch {
      // Without storage, beforeunload warns.
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
    text.textContent = `${n === 1 ? "A change was" : `${n} changes were`} not saved: ${error.message}`;
    const again = document.createElement("button");
    again.textContent = "Try again";
    again.addEventListener("click", () => this.send());
    this.alarm.append(text, again);
    this.alarm.hidden = false;
    this.state.tell("saved");
    this.timer = setTimeout(() => this.send(), AGAIN_AFTER);
  }

  // Changes that can never be saved are reverted, so that they do not block others.
  drop(entry, error) {
    this.waiting.shift();
    this.keep();
    this.next = this.generation = 0; // reload everything
    this.alarm.textContent = `A change was refused and reverted: ${error.message}`;
    this.alarm.hidden = false;
    this.show("refused");
    this.listen().catch(() => {});
    if (this.waiting.length) this.send();
  }

  // Read new labels of others.
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
