// Start of the page: read the objects, build the views, connect controls and keys.

import { make } from "./dom.js";
import { Field } from "./field.js";
import { Grid } from "./grid.js";
import { listen } from "./keys.js";
import { Pictures } from "./pictures.js";
import { Saver } from "./saving.js";
import { setBands } from "./charts.js";
import { labelShapeOf, setShapes, shapeOf } from "./shapes.js";
import { Single } from "./single.js";
import { source } from "./source.js";
import { DOWN, State } from "./state.js";

const POLL = 4000; // ms between requests for labels of others

const find = (id) => document.getElementById(id);

function colorClasses(data) {
  const sheet = new CSSStyleSheet();
  for (const [number, color] of Object.entries(data.colors)) {
    sheet.insertRule(`[data-class="${number}"] { --class: ${color}; }`);
  }
  for (const [number, color] of Object.entries(data.labels.colors)) {
    sheet.insertRule(`[data-label="${number}"] { --class: ${color}; }`);
  }
  document.adoptedStyleSheets = [sheet];
}

function fillControls(state) {
  const { data } = state;
  find("title").textContent = data.title;
  document.title = `${data.title} – astroclust review`;
  const pictures = [["color", "color"], ...data.bands.map(({ role, filter }) => [role, `${role} ${filter}`])];
  for (const [value, textContent] of pictures) {
    const missing = data.sheets && !(value in data.sheets);
    if (!missing) find("picture").append(make("option", { value, textContent }));
  }
  for (const option of find("sort").options) {
    const column = { class: "class", probability: "probability", entropy: "entropy" }[option.value];
    const hidden = state.blind && ["class", "probability", "disagreement"].includes(option.value);
    option.disabled = hidden || (column !== undefined && !(column in state.columns));
  }
  find("sort").value = state.sort.key;
  find("direction").textContent = state.sort.down ? "↓" : "↑";
  find("blind").hidden = !state.blind;
  const counts = new Map();
  for (let row = 0; row < state.n; row++) {
    const given = state.modelClass(row);
    counts.set(given, (counts.get(given) ?? 0) + 1);
  }
  // In a blind review, selecting classes would reveal them.
  find("classes").hidden = state.blind;
  for (const number of counts.has(0) ? [...state.classes, 0] : state.classes) {
    const name = number ? data.classes[number] : "not classified";
    const chip = make("button", { className: "chip", title: `Show or hide ${name}` }, [
      make("span", { className: "shape", textContent: `${shapeOf(number)} ${number || "none"}` }),
      make("span", { className: "quiet", textContent: (counts.get(number) ?? 0).toLocaleString("en") }),
    ]);
    chip.setAttribute("aria-label", `${name}: ${counts.get(number) ?? 0}`);
    chip.setAttribute("aria-pressed", "true");
    chip.dataset.class = number;
    chip.addEventListener("click", () => {
      const hide = chip.getAttribute("aria-pressed") === "true";
      chip.setAttribute("aria-pressed", !hide);
      hide ? state.hidden.add(number) : state.hidden.delete(number);
      state.arrange();
    });
    find("classes").append(chip);
  }
  for (const [letter, number] of state.keys) {
    const name = data.labels.classes[number];
    const key = make("span", {}, [
      make("kbd", { textContent: letter }),
      make("span", { className: "shape", textContent: ` ${labelShapeOf(number)} ` }),
      name,
    ]);
    key.dataset.label = number;
    find("class-keys").append(key);
  }
  if (state.confirms) sayConfirmation(data);
}

// Text of a confirmation that differs from a review.
function sayConfirmation(data) {
  find("confirm").hidden = false;
  find("confirm").textContent = `confirm p ≥ ${data.confirm}`;
  const keys = [make("kbd", { textContent: "y" }), ", ", make("kbd", { textContent: "x" })];
  find("label-keys").replaceChildren(...keys);
  find("label-meaning").textContent = "confirm the class of the selected object, or reject it";
  find("export").textContent = "Export confirmed";
  find("export").download = "confirmed.ecsv";
}

function tieControls(state, grid) {
  find("picture").addEventListener("change", (event) => showPicture(state, event.target.value));
  find("sort").addEventListener("change", (event) => {
    const key = event.target.value;
    state.sort = { key, down: DOWN.includes(key) };
    find("direction").textContent = state.sort.down ? "↓" : "↑";
    state.arrange();
    state.move(-state.n);
  });
  find("direction").addEventListener("click", () => {
    state.sort.down = !state.sort.down;
    find("direction").textContent = state.sort.down ? "↓" : "↑";
    state.arrange();
    state.move(-state.n);
  });
  find("shown").addEventListener("change", (event) => {
    state.shown = event.target.value;
    state.arrange();
  });
  find("size").addEventListener("input", (event) => grid.resize(Number(event.target.value)));
  find("reviewer").value = state.me;
  find("reviewer").addEventListener("change", (event) => {
    state.me = event.target.value.trim();
    keepName(state);
    state.tell("labeled");
    state.tell("chosen");
  });
  find("reviewer").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.target.blur();
  });
  // Return the focus to the stamps after a selection.
  for (const id of ["picture", "sort", "shown"]) {
    find(id).addEventListener("change", (event) => event.target.blur());
  }
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => state.setView(button.dataset.view));
  }
  // Also after mouse clicks, so that Enter opens an object.
  addEventListener("click", (event) => {
    const inBar = event.target.closest("header, .bar")?.contains(event.target);
    const held = event.target.closest("button, a, [type=checkbox], [type=range]");
    if (inBar && held && event.detail > 0) find(state.view).focus({ preventScroll: true });
  });
  find("help-button").addEventListener("click", () => find("help").showModal());
  if (!source.live) offerFile(state);
}

function showPicture(state, name) {
  state.picture = name;
  find("picture").value = name;
  state.tell("picture");
}

// A typed name is stored for its tab; in a self-contained page, permanently.
const names = () => (source.live ? sessionStorage : localStorage);
const nameKey = (data) => `astroclust-reviewer:${data.reviewer}`;

function keepName(state) {
  try {
    names().setItem(nameKey(state.data), state.me);
  } catch {
    // Without storage, the name must be typed again next time.
  }
}

function keptName(data) {
  try {
    return names().getItem(nameKey(data)) ?? "";
  } catch {
    return "";
  }
}

// In a self-contained page: save the labels as a file.
function offerFile(state) {
  find("export").textContent = "Save labels";
  find("export").addEventListener("click", (event) => {
    const blob = new Blob([source.file()], { type: "text/plain" });
    event.currentTarget.href = URL.createObjectURL(blob);
    event.currentTarget.download = `${state.me || "my"}.labels.ecsv`;
  });
}

function showView(state) {
  for (const name of ["grid", "single", "field"]) find(name).hidden = name !== state.view;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", button.dataset.view === state.view);
  }
  find("size-label").hidden = state.view !== "grid";
  find(state.view).focus({ preventScroll: true });
}

function count(state) {
  const [shown, n] = [state.order.length, state.n].map((m) => m.toLocaleString("en"));
  find("count").textContent = shown === n ? `${n} objects` : `${shown} of ${n} objects`;
  const say = (m, what) => `${m.toLocaleString("en")} ${what}`;
  const { classes } = state.data.labels;
  const parts = state.labels.map((label) => say(state.countOf(label), classes[label]));
  find("progress").textContent = state.confirms ? parts.join(", ") : say(state.labeled(), "labeled");
}

function actionsOf(state, saver, views) {
  function label(number) {
    if (!state.me) {
      saver.show("enter your name first");
      find("reviewer").focus();
      return;
    }
    if (!state.order.length) return;
    saver.change(state.chosen, { label: number });
    if (number && find("advance").checked) state.move(1);
  }
  return {
    label,
    undo: () => {
      const row = saver.undo();
      if (row !== null) state.choose(row);
    },
    next: () => {
      const row = state.nextUncertain();
      if (row >= 0) state.choose(row);
      else saver.show("none left");
    },
    note: () => {
      if (!state.me) return label(0);
      state.setView("single");
      return views.single.note.focus();
    },
    saliency: () => {
      state.setView("single");
      views.single.askSaliency();
    },
    picture: () => {
      const { options, selectedIndex } = find("picture");
      showPicture(state, options[(selectedIndex + 1) % options.length].value);
    },
    marker: () => state.toggle("marked"),
    wide: () => {
      if (state.view !== "single") state.wide = false; // show the stamp in any case
      state.setView("single");
      state.toggle("wide");
    },
    help: () => find("help").showModal(),
    zoom: (sign) => {
      if (state.view === "field") views.field.zoomByKey(1.4 ** sign);
      else {
        find("size").value = Number(find("size").value) + 16 * sign;
        views.grid.resize(Number(find("size").value));
      }
    },
    columns: () => (state.view === "grid" ? views.grid.columns : 1),
    page: () => views.grid.columns * Math.max(1, Math.floor(views.grid.root.clientHeight / views.grid.line)),
  };
}

async function follow(saver, lost) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    if (document.hidden) continue;
    try {
      await saver.listen();
      lost(null);
    } catch (error) {
      lost(error);
    }
  }
}

async function start() {
  const data = await source.describe();
  const state = new State(data);
  state.me = keptName(data) || data.reviewer;
  document.documentElement.classList.toggle("live", source.live);
  colorClasses(data);
  setShapes(data.shapes, data.labels.shapes);
  setBands(data.bands);
  fillControls(state);
  const pictures = new Pictures(source, data);
  const saver = new Saver(source, state, find("saving"), find("alarm"));
  const views = {
    grid: new Grid(find("grid"), state, pictures),
    single: new Single(find("single"), state, source, saver),
    field: source.live ? new Field(find("field"), state, source) : null,
  };
  if (!source.live) document.querySelector('[data-view="field"]').remove();
  tieControls(state, views.grid);
  const actions = actionsOf(state, saver, views);
  listen(actions, state);
  state.on("view", () => showView(state));
  state.on("view", () => views.grid.renew());
  state.on("view", () => views.grid.show());
  state.on("label", (event) => actions.label(event.detail));
  state.on("show-picture", (event) => showPicture(state, event.detail === state.picture ? "color" : event.detail));
  state.on("arranged labeled", () => count(state));
  state.on("overlay", () => document.body.classList.toggle("marked", state.marked));
  document.body.classList.toggle("marked", state.marked);
  state.setView("grid");
  state.arrange();
  state.move(-state.n); // first in the initial order
  await saver.listen();
  saver.restore();
  state.tell("labeled");
  document.documentElement.dataset.ready = "yes";
  if (source.live) {
    let connected = true;
    follow(saver, (error) => {
      if (connected !== !error && !saver.waiting.length) saver.show(error ? "no connection" : "connected");
      connected = !error;
    });
  }
}

start().catch((error) => {
  find("alarm").textContent = `Cannot show the page: ${error.message}`;
  find("alarm").hidden = false;
});
