// View of one object: bands, profile, curve of growth, magnitudes, probabilities, votes, saliency.

import { lineChart, styleOf } from "./charts.js";
import { make } from "./dom.js";
import { Overlay } from "./overlay.js";
import { drawStamp, drawWhole } from "./pictures.js";
import { labelShapeOf, shapeOf } from "./shapes.js";
import { copyText, decimalPosition, sexagesimalPosition } from "./sky.js";

export class Single {
  constructor(root, state, source, saver) {
    Object.assign(this, { root, state, source, saver, measured: new Map() });
    this.build();
    state.on("chosen view", () => this.draw());
    state.on("picture overlay", () => this.visible && this.drawLarge());
    state.on("labeled saved", () => this.visible && this.drawLabels());
  }

  get visible() {
    return this.state.view === "single";
  }

  build() {
    this.large = make("canvas", { className: "large", role: "img" });
    this.bands = this.state.data.bands.map(({ role, filter }) => {
      const canvas = make("canvas", { role: "img", ariaLabel: `${role}, ${filter}` });
      const name = make("span", {}, [make("b", { textContent: role }), ` ${filter}`]);
      const framed = make("span", { className: "stamp" }, [canvas]);
      const button = make("button", { className: "band", title: `Show ${filter} large` }, [framed, name]);
      button.addEventListener("click", () => this.state.tell("show-picture", role));
      return { role, canvas, button };
    });
    this.overlay = new Overlay(this.state.data);
    this.frame = make("div", { className: "frame" }, [this.large, this.overlay.root]);
    this.heading = make("h2");
    this.sky = make("p", { className: "sky" });
    this.facts = make("p", { className: "facts" });
    this.buttons = make("div", { className: "labels", role: "group", ariaLabel: "Your label" });
    for (const [key, number] of this.state.keys) {
      const button = make("button", { className: "label" }, [
        make("kbd", { textContent: key }),
        make("span", { className: "shape", textContent: labelShapeOf(number) }),
        ` ${this.state.data.labels.classes[number]}`,
      ]);
      button.dataset.label = number;
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
    this.probabilities = make("div", { className: "probabilities" });
    this.magnitudes = make("table", { className: "magnitudes" });
    this.charts = make("div", { className: "charts" });
    this.saliency = make("div", { className: "saliency" });
    const look = make("div", { className: "look" }, [
      this.frame,
      this.buildTools(),
      make("div", { className: "bands" }, this.bands.map(({ button }) => button)),
      this.saliency,
    ]);
    const read = make("div", { className: "read" }, [
      this.heading, this.sky, this.facts, this.buttons, this.note, this.votes,
      make("div", { className: "pair" }, [this.probabilities, this.magnitudes]), this.charts,
    ]);
    this.root.append(look, read);
  }

  // Buttons of the keys t and w.
  buildTools() {
    const tool = (key, text, name) => {
      const button = make("button", {}, [make("kbd", { textContent: key }), ` ${text}`]);
      button.addEventListener("click", () => this.state.toggle(name));
      return button;
    };
    this.tools = { marked: tool("t", "Target marker", "marked"), wide: tool("w", "Surroundings", "wide") };
    return make("div", { className: "tools" }, Object.values(this.tools));
  }

  keepNote() {
    const note = this.note.value.trim();
    if (this.state.me) this.saver.change(this.noted, { note });
  }

  draw() {
    if (!this.visible) return;
    const { state } = this;
    const row = state.chosen;
    const { ids } = state.data;
    if (document.activeElement === this.note) this.note.blur();
    this.heading.textContent = `Object ${ids[row]}${this.question(row)}`;
    this.drawSky(row);
    this.drawLarge();
    const { size, inside } = state.data;
    for (const { role, canvas, button } of this.bands) {
      canvas.width = canvas.width; // clears it
      button.hidden = !this.hasPicture(role);
      if (inside[row] && !button.hidden) drawStamp(canvas, this.source, role, row, size);
    }
    this.drawLabels();
    this.drawMeasures(row);
    this.clearSaliency(row);
  }

  // The class to confirm.
  question(row) {
    const { state } = this;
    const number = state.modelClass(row);
    return state.confirms ? `: ${shapeOf(number)} ${number} ${state.data.classes[number]}?` : "";
  }

  // Update after a label; in a blind review, this reveals hidden values.
  drawLabels() {
    const row = this.state.chosen;
    this.drawFacts(row);
    this.drawVotes();
    this.drawProbabilities(row);
    const hidden = this.state.isHidden(row);
    if (this.saliencyHidden !== hidden) this.clearSaliency(row);
  }

  drawFacts(row) {
    const { state } = this;
    const { x, y } = state.data;
    const position = state.position[row];
    const where = position < 0 ? "not shown" : `${position + 1} of ${state.order.length}`;
    const pixels = [x, y].map((values, i) => `${"xy"[i]} ${values[row]?.toFixed(2) ?? "–"}`);
    this.facts.textContent = [where, ...pixels, ...this.oddities(row)].join("  ·  ");
  }

  drawSky(row) {
    const [ra, dec] = [this.state.data.ra?.[row] ?? null, this.state.data.dec?.[row] ?? null];
    this.sky.hidden = ra === null || dec === null;
    if (this.sky.hidden) return;
    const texts = [sexagesimalPosition(ra, dec), decimalPosition(ra, dec)];
    this.sky.replaceChildren(
      ...texts.map((text, i) => {
        const shown = make("span", { className: "position", textContent: text });
        const button = make("button", { textContent: "Copy" });
        button.setAttribute("aria-label", `Copy right ascension and declination ${["", "in degrees"][i]}`);
        button.addEventListener("click", async () => this.saver.show(await copyText(shown)));
        return make("span", {}, [shown, button]);
      }),
    );
  }

  hasPicture(name) {
    return this.source.live || name in this.state.data.sheets;
  }

  oddities(row) {
    const flags = this.state.columns.flags?.[row] ?? 0;
    const meanings = Object.entries(this.state.data.flags);
    const said = meanings.filter(([bit]) => flags & bit).map(([, meaning]) => meaning);
    const [entropy, agreement] = ["entropy", "agreement"].map((name) => this.state.given(name, row));
    if (entropy !== null) said.unshift(`entropy ${entropy.toFixed(2)}`);
    if (agreement !== null && agreement < 1) said.push(`agreement ${agreement.toFixed(2)}`);
    return said;
  }

  drawLarge() {
    const { chosen: row, picture, data } = this.state;
    for (const { role, button } of this.bands) button.setAttribute("aria-pressed", role === picture);
    const name = this.hasPicture(picture) ? picture : "color";
    const context = data.inside[row] ? this.source.context(name, row) : null;
    const wide = this.state.wide && context !== null;
    this.tools.wide.disabled = context === null;
    for (const [key, button] of Object.entries(this.tools)) {
      button.setAttribute("aria-pressed", this.state[key]);
    }
    const what = wide ? "surroundings" : "stamp";
    this.large.setAttribute("aria-label", `${what} of object ${data.ids[row]}, ${picture}`);
    this.large.width = this.large.width;
    if (wide) drawWhole(this.large, context, row);
    else if (data.inside[row]) drawStamp(this.large, this.source, name, row, data.size);
    const size = wide ? data.context_size : data.size;
    this.overlay.draw(row, { size, first: (size - data.size) / 2, marked: this.state.marked });
  }

  drawVotes() {
    const { state } = this;
    const row = state.chosen;
    const mine = state.labelOf(row);
    for (const button of this.buttons.children) {
      button.setAttribute("aria-pressed", Number(button.dataset.label) === mine);
    }
    this.buttons.classList.toggle("unsaved", state.unsaved.has(row));
    if (document.activeElement !== this.note || this.noted !== row) {
      this.note.value = state.noteOf(row);
      this.noted = row;
    }
    const notes = state.notesOf(row);
    const hidden = state.isHidden(row);
    const said = [...state.votes.entries()].flatMap(([key, { name, labels, blind }]) => {
      const note = notes.get(key)?.note;
      const label = hidden ? 0 : labels[row];
      return label || note ? [{ name, label, note, blind: blind[row] }] : [];
    });
    this.votes.replaceChildren(
      ...said.map(({ name, label, note, blind }) => {
        const shape = make("span", { className: "shape", textContent: label ? `${labelShapeOf(label)} ${state.sayLabel(label)}` : "–" });
        shape.dataset.label = label;
        return make("li", {}, [make("b", { textContent: name }), " ", shape, blind ? " (blind)" : "", note ? ` ${note}` : ""]);
      }),
    );
  }

  drawProbabilities(row) {
    const { state } = this;
    if (state.isHidden(row)) {
      const textContent = "Blind: class, probabilities and labels of others are shown once you have labeled this object.";
      this.probabilities.replaceChildren(make("p", { className: "quiet", textContent }));
      return;
    }
    this.probabilities.replaceChildren(
      ...state.classes.map((number) => {
        const probability = state.given(`prob_${number}`, row);
        const bar = make("span", { className: "fill" });
        bar.style.width = `${100 * (probability ?? 0)}%`;
        const line = make("div", { className: "probability" }, [
          make("span", { className: "shape", textContent: `${shapeOf(number)} ${number}` }),
          make("span", { className: "rail" }, [bar]),
          make("span", { className: "value", textContent: probability === null ? "–" : probability.toFixed(3) }),
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
        xLabel: "radius (pixels)", yLabel: "flux / peak",
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
    this.saliencyHidden = this.state.isHidden(row);
    if (!this.source.live || !this.state.data.inside[row] || this.saliencyHidden) return;
    const button = make("button", {}, [make("kbd", { textContent: "s" }), " Saliency"]);
    button.addEventListener("click", () => this.askSaliency());
    this.saliency.append(button);
  }

  async askSaliency() {
    const row = this.state.chosen;
    if (!this.visible || !this.source.live || !this.state.data.inside[row]) return;
    if (this.state.isHidden(row)) {
      this.saver.show("hidden until labeled");
      return;
    }
    this.saliency.replaceChildren(make("p", { className: "waiting", textContent: "computing saliency …" }));
    let shown;
    try {
      shown = await this.source.saliency(row);
    } catch (error) {
      if (row === this.state.chosen) this.saliency.replaceChildren(make("p", { textContent: error.message }));
      return;
    }
    if (row !== this.state.chosen) return;
    const picture = make("img", { src: shown.picture, alt: "saliency maps for and against the class in each band" });
    const names = shown.bands.map((band, i) =>
      make("span", { textContent: `${band} ${Math.round(100 * (shown.fractions[i] ?? 0))} %` }),
    );
    const text = `orange: evidence for class ${shown.class}, violet: against it (${shown.model})`;
    this.saliency.replaceChildren(picture, make("div", { className: "fractions" }, names), make("p", { textContent: text }));
  }
}
