// One object: its bands, profile, curve of growth, magnitudes, probabilities, votes and saliency.

import { lineChart, styleOf } from "./charts.js";
import { make } from "./dom.js";
import { drawStamp } from "./pictures.js";
import { shapeOf } from "./shapes.js";

export class Single {
  constructor(root, state, source, saver) {
    Object.assign(this, { root, state, source, saver, measured: new Map() });
    this.build();
    state.on("chosen view", () => this.draw());
    state.on("picture", () => this.visible && this.drawLarge());
    state.on("labelled saved", () => this.visible && this.drawVotes());
  }

  get visible() {
    return this.state.view === "single";
  }

  build() {
    this.large = make("canvas", { className: "large", role: "img" });
    this.bands = this.state.data.bands.map(({ role, filter }) => {
      const canvas = make("canvas", { role: "img", ariaLabel: `${role}, ${filter}` });
      const name = make("span", {}, [make("b", { textContent: role }), ` ${filter}`]);
      const button = make("button", { className: "band", title: `Show ${filter} large` }, [canvas, name]);
      button.addEventListener("click", () => this.state.tell("show-picture", role));
      return { role, canvas, button };
    });
    this.heading = make("h2");
    this.facts = make("p", { className: "facts" });
    this.buttons = make("div", { className: "labels", role: "group", ariaLabel: "Your label" });
    for (const number of this.state.classes) {
      const button = make("button", { className: "label" }, [
        make("kbd", { textContent: number }),
        make("span", { className: "shape", textContent: shapeOf(number) }),
        ` ${this.state.data.classes[number]}`,
      ]);
      button.dataset.class = number;
      button.addEventListener("click", () => this.state.tell("label", number));
      this.buttons.append(button);
    }
    this.note = make("input", { type: "text", className: "note", maxLength: 2000 });
    this.note.placeholder = "Note (m)";
    this.note.setAttribute("aria-label", "Note");
    this.note.addEventListener("change", () => this.keepNote());
    this.note.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.note.value = this.state.noteOf(this.state.chosen);
      if (event.key === "Enter" || event.key === "Escape") this.root.focus();
    });
    this.votes = make("ul", { className: "votes" });
    this.chances = make("div", { className: "chances" });
    this.magnitudes = make("table", { className: "magnitudes" });
    this.charts = make("div", { className: "charts" });
    this.saliency = make("div", { className: "saliency" });
    const look = make("div", { className: "look" }, [
      this.large,
      make("div", { className: "bands" }, this.bands.map(({ button }) => button)),
      this.saliency,
    ]);
    const read = make("div", { className: "read" }, [
      this.heading, this.facts, this.buttons, this.note, this.votes,
      make("div", { className: "pair" }, [this.chances, this.magnitudes]), this.charts,
    ]);
    this.root.append(look, read);
  }

  keepNote() {
    const note = this.note.value.trim();
    if (this.state.me) this.saver.change(this.noted, { note });
  }

  draw() {
    if (!this.visible) return;
    const { state } = this;
    const row = state.chosen;
    const { ids, x, y } = state.data;
    if (document.activeElement === this.note) this.note.blur();
    this.heading.textContent = `Object ${ids[row]}`;
    const position = state.position[row];
    const where = position < 0 ? "not among those shown" : `${position + 1} of ${state.order.length}`;
    this.facts.textContent = [where, `x ${x[row] ?? "–"}`, `y ${y[row] ?? "–"}`, ...this.oddities(row)].join("  ·  ");
    this.drawLarge();
    const { size, inside } = state.data;
    for (const { role, canvas, button } of this.bands) {
      canvas.width = canvas.width; // clears it
      button.hidden = !this.hasPicture(role);
      if (inside[row] && !button.hidden) drawStamp(canvas, this.source, role, row, size);
    }
    this.drawVotes();
    this.drawChances(row);
    this.drawMeasures(row);
    this.clearSaliency(row);
  }

  hasPicture(name) {
    return this.source.live || name in this.state.data.sheets;
  }

  oddities(row) {
    const flags = this.state.columns.flags?.[row] ?? 0;
    const meanings = Object.entries(this.state.data.flags);
    const said = meanings.filter(([bit]) => flags & bit).map(([, meaning]) => meaning);
    const { entropy, agreement } = this.state.columns;
    if (entropy?.[row] != null) said.unshift(`entropy ${entropy[row].toFixed(2)}`);
    if (agreement?.[row] != null && agreement[row] < 1) said.push(`agreement ${agreement[row].toFixed(2)}`);
    return said;
  }

  drawLarge() {
    const { chosen: row, picture, data } = this.state;
    for (const { role, button } of this.bands) button.setAttribute("aria-pressed", role === picture);
    this.large.setAttribute("aria-label", `stamp of object ${data.ids[row]}, ${picture}`);
    this.large.width = this.large.width;
    const name = this.hasPicture(picture) ? picture : "color";
    if (data.inside[row]) drawStamp(this.large, this.source, name, row, data.size);
  }

  drawVotes() {
    const { state } = this;
    const row = state.chosen;
    const mine = state.labelOf(row);
    for (const button of this.buttons.children) {
      button.setAttribute("aria-pressed", Number(button.dataset.class) === mine);
    }
    this.buttons.classList.toggle("unsaved", state.unsaved.has(row));
    if (document.activeElement !== this.note || this.noted !== row) {
      this.note.value = state.noteOf(row);
      this.noted = row;
    }
    const notes = state.notes.get(row) ?? new Map();
    const said = [...state.votes.entries()].flatMap(([key, { name, labels }]) => {
      const note = notes.get(key)?.note;
      return labels[row] || note ? [{ name, label: labels[row], note }] : [];
    });
    this.votes.replaceChildren(
      ...said.map(({ name, label, note }) => {
        const shape = make("span", { className: "shape", textContent: label ? `${shapeOf(label)} ${label}` : "–" });
        shape.dataset.class = label;
        return make("li", {}, [make("b", { textContent: name }), " ", shape, note ? ` ${note}` : ""]);
      }),
    );
  }

  drawChances(row) {
    const { state } = this;
    this.chances.replaceChildren(
      ...state.classes.map((number) => {
        const chance = state.columns[`prob_${number}`]?.[row] ?? null;
        const bar = make("span", { className: "fill" });
        bar.style.width = `${100 * (chance ?? 0)}%`;
        const line = make("div", { className: "chance" }, [
          make("span", { className: "shape", textContent: `${shapeOf(number)} ${number}` }),
          make("span", { className: "rail" }, [bar]),
          make("span", { className: "value", textContent: chance === null ? "–" : chance.toFixed(3) }),
        ]);
        line.dataset.class = number;
        line.title = state.data.classes[number];
        return line;
      }),
    );
  }

  async drawMeasures(row) {
    let measured = this.measured.get(row);
    if (!measured) {
      this.charts.classList.add("waiting");
      try {
        measured = await this.source.measures(row);
      } catch (error) {
        this.charts.replaceChildren(make("p", { textContent: error.message }));
        return;
      }
      this.measured.set(row, measured);
    }
    if (row !== this.state.chosen) return;
    this.charts.classList.remove("waiting");
    this.magnitudes.replaceChildren();
    this.charts.replaceChildren();
    if (!measured) return;
    this.fillMagnitudes(measured);
    this.charts.append(
      lineChart({
        title: "radial profile", x: measured.radii, lines: measured.profile,
        xLabel: "radius (pixels)", yLabel: "light / highest",
        marks: measured.fwhm ? [measured.fwhm / 2] : [],
      }),
      lineChart({
        title: "curve of growth", x: measured.growth_radii, lines: measured.growth,
        xLabel: "aperture radius (pixels)", yLabel: "mag − mag (20)", yDown: true,
      }),
    );
  }

  fillMagnitudes(measured) {
    const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
    for (const { role, filter } of this.state.data.bands) {
      const [magnitude, error] = measured.magnitudes[role];
      const line = this.magnitudes.insertRow();
      const name = make("th", { textContent: filter, scope: "row" });
      name.style.color = styleOf(role).color;
      line.append(name);
      line.insertCell().textContent = number(magnitude, 2);
      line.insertCell().textContent = error === null ? "" : `± ${number(error, 2)}`;
    }
    const notes = [
      `CI ${number(measured.ci, 2)}`,
      `FWHM ${number(measured.fwhm, 1)} px in ${measured.reference}`,
    ];
    if (measured.measured.length) notes.push("r = 4 px, not corrected");
    this.magnitudes.createCaption().textContent = notes.join(" · ");
  }

  clearSaliency(row) {
    this.saliency.replaceChildren();
    if (!this.source.live || !this.state.data.inside[row]) return;
    const button = make("button", {}, [make("kbd", { textContent: "s" }), " Saliency"]);
    button.addEventListener("click", () => this.askSaliency());
    this.saliency.append(button);
  }

  async askSaliency() {
    const row = this.state.chosen;
    if (!this.visible || !this.source.live || !this.state.data.inside[row]) return;
    this.saliency.replaceChildren(make("p", { className: "waiting", textContent: "working out the saliency …" }));
    let shown;
    try {
      shown = await this.source.saliency(row);
    } catch (error) {
      if (row === this.state.chosen) this.saliency.replaceChildren(make("p", { textContent: error.message }));
      return;
    }
    if (row !== this.state.chosen) return;
    const picture = make("img", { src: shown.picture, alt: "what says for the class and what against, band by band" });
    const names = shown.bands.map((band, i) =>
      make("span", { textContent: `${band} ${Math.round(100 * (shown.shares[i] ?? 0))} %` }),
    );
    const text = `orange says for class ${shown.class}, violet against it (${shown.model})`;
    this.saliency.replaceChildren(picture, make("div", { className: "shares" }, names), make("p", { textContent: text }));
  }
}
