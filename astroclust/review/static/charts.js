// Small line charts as SVG.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [38, 34, 10, 34];

// Colors from blue to red and dashes for bands, so that lines are distinct without colors.
const COLORS = ["#b39ddb", "#64a8ff", "#5fd3d0", "#a5d66f", "#ff8a65"];
const DASHES = ["1 4", "2 3", "6 3", "", "9 3 2 3"];

let styles = {};

// Color and dash of each band, ordered from short to long wavelengths.
export function setBands(bands) {
  const step = (COLORS.length - 1) / Math.max(bands.length - 1, 1);
  const style = (i) => ({ color: COLORS[Math.round(i * step)], dash: DASHES[i % DASHES.length] });
  styles = Object.fromEntries(bands.map(({ role }, i) => [role, style(i)]));
}

export function styleOf(role) {
  return styles[role] ?? { color: "#ccc", dash: "" };
}

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// Round numbers that divide a range into a few steps.
function ticks(low, high) {
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9; i++) found.push(i * step);
  return found;
}

// Names at the right ends of lines, moved apart if they would overlap.
function spread(names) {
  names.sort((a, b) => a.y - b.y);
  names.forEach((name, i) => {
    if (i) name.y = Math.max(name.y, names[i - 1].y + 11);
  });
  const over = Math.max(0, (names.at(-1)?.y ?? 0) - (HEIGHT - BOTTOM + 4));
  names.forEach((name) => (name.y -= over));
}

// Lines over x, by band; values that are null leave gaps.
export function lineChart({ title, x, lines, xLabel, yLabel, yDown = false, marks = [] }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  add(svg, "title", {}, title);
  const values = Object.values(lines).flat().filter((value) => value !== null);
  if (!values.length) {
    add(svg, "text", { x: WIDTH / 2, y: HEIGHT / 2, class: "none" }, "no measurement available");
    return svg;
  }
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  const span = high - low || 1;
  const toX = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * value) / x.at(-1);
  const toY = (value) => {
    const fraction = (value - low) / span;
    return TOP + (HEIGHT - TOP - BOTTOM) * (yDown ? fraction : 1 - fraction);
  };
  for (const value of ticks(low, low + span)) {
    const y = toY(value);
    add(svg, "line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "rule" });
    add(svg, "text", { x: LEFT - 5, y: y + 3.5, class: "tick y" }, Number(value.toPrecision(3)));
  }
  for (const value of ticks(0, x.at(-1))) {
    add(svg, "text", { x: toX(value), y: HEIGHT - BOTTOM + 13, class: "tick" }, value);
  }
  for (const mark of marks) {
    const at = toX(mark);
    add(svg, "line", { x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM, class: "mark" });
  }
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  add(svg, "text", { x: middle, y: HEIGHT - 6, class: "label" }, xLabel);
  const transform = `translate(10 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`;
  add(svg, "text", { transform, class: "label" }, yLabel);
  const names = [];
  for (const [band, line] of Object.entries(lines)) {
    const { color, dash } = styleOf(band);
    let path = "";
    let last = null;
    line.forEach((value, i) => {
      if (value !== null) path += `${line[i - 1] == null ? "M" : "L"}${toX(x[i]).toFixed(1)} ${toY(value).toFixed(1)}`;
      last = value ?? last;
    });
    if (last === null) continue;
    add(svg, "path", { d: path, stroke: color, "stroke-dasharray": dash, class: "line" });
    names.push({ band, color, y: toY(last) + 3.5 });
  }
  spread(names);
  for (const { band, color, y } of names) {
    add(svg, "text", { x: WIDTH - RIGHT + 5, y, class: "name" }, band).style.fill = color;
  }
  return svg;
}
