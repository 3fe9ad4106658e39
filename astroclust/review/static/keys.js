// Keyboard shortcuts, which are inactive in text fields.

export function takesText(element) {
  if (!element) return false;
  if (element.isContentEditable || element.matches("textarea, select")) return true;
  return element.matches("input") && !["checkbox", "range", "button"].includes(element.type);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listen(actions, state) {
  const plain = {
    u: actions.undo,
    n: actions.next,
    m: actions.note,
    s: actions.saliency,
    c: actions.picture,
    t: actions.marker,
    w: actions.wide,
    g: () => state.setView("grid"),
    f: () => state.setView("field"),
    "?": actions.help,
    Escape: () => state.setView("grid"),
    0: () => actions.label(0),
    Delete: () => actions.label(0),
    Backspace: () => actions.label(0),
    "+": () => actions.zoom(1),
    "=": () => actions.zoom(1),
    "-": () => actions.zoom(-1),
  };
  for (const [key, number] of state.keys) plain[key] = () => actions.label(number);

  function enter(event) {
    if (event.target.closest?.("button, a, input")) return; // these elements handle it themselves
    event.preventDefault();
    state.setView("single");
  }

  function travel(event) {
    const { key } = event;
    const across = actions.columns();
    if (key in ARROWS) {
      if (event.target.matches?.("input")) return; // a slider
      const [dx, dy] = ARROWS[key];
      state.move(dx + dy * across);
    } else {
      const page = { PageUp: -1, PageDown: 1 }[key];
      state.move(page ? page * actions.page() : (key === "End" ? 1 : -1) * state.n);
    }
    event.preventDefault();
  }

  addEventListener("keydown", (event) => {
    if (takesText(event.target) || document.querySelector("dialog[open]")) return;
    const { key } = event;
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z" && !event.shiftKey) {
      event.preventDefault();
      actions.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Enter") enter(event);
    else if (key in ARROWS || ["Home", "End", "PageUp", "PageDown"].includes(key)) travel(event);
    else if (plain[key] && !event.repeat) {
      event.preventDefault();
      plain[key]();
    }
  });
}
