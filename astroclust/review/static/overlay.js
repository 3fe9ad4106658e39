// Overlay of a picture: target marker, scale bar and outline of a stamp.

const SVG = "http://www.w3.org/2000/svg";
const ARCSEC = Math.PI / 648_000; // radians

// Length of a scale bar in image pixels, and its text.
export function scaleBar({ scale, distance }, width) {
  const unit = scale ?? 1;
  const most = 0.3 * width * unit;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((m) => m * power).find((m) => m <= most);
  const digits = Math.max(0, -Math.floor(Math.log10(length)));
  if (!scale) return { pixels: length, text: `${length.toFixed(digits)} px` };
  const arcsec = `${length.toFixed(digits)}″`;
  if (!distance) return { pixels: length / scale, text: arcsec };
  const pc = length * ARCSEC * distance * 1e6;
  const [value, name] = pc < 1000 ? [pc, "pc"] : [pc / 1000, "kpc"];
  const rounded = value < 100 ? Number(value.toPrecision(2)) : Math.round(value);
  return { pixels: length / scale, text: `${arcsec} = ${rounded} ${name}` };
}

export class Overlay {
  constructor(data) {
    this.data = data;
    this.root = document.createElementNS(SVG, "svg");
    this.root.setAttribute("class", "overlay");
    this.root.setAttribute("aria-hidden", "true");
  }

  // size: pixels of the picture; the stamp begins at a given pixel; y increases upward.
  draw(row, { size, first, marked }) {
    const { data, root } = this;
    const stamp = data.size;
    root.replaceChildren();
    root.setAttribute("viewBox", `0 0 ${size} ${size}`);
    const corner = { x: data.corner.x[row], y: data.corner.y[row] };
    if (first) this.rectangle(first, size - first - stamp, stamp);
    if (marked && corner.x !== null) {
      const x = data.x[row] - corner.x + first + 0.5;
      const y = size - (data.y[row] - corner.y + first + 0.5);
      this.cross(x, y, 0.14 * stamp, 0.24 * stamp);
    }
    this.bar(size);
  }

  add(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return this.root.appendChild(element);
  }

  // Line with a dark halo, visible on any background.
  line(path, name) {
    for (const part of ["halo", "stroke"]) this.add("path", { d: path, class: `${name} ${part}` });
  }

  cross(x, y, from, to) {
    const arms = [[0, -1], [1, 0], [0, 1], [-1, 0]];
    const arm = ([dx, dy]) => `M${x + from * dx} ${y + from * dy}L${x + to * dx} ${y + to * dy}`;
    this.line(arms.map(arm).join(""), "marker");
  }

  rectangle(x, y, width) {
    this.line(`M${x} ${y}h${width}v${width}h${-width}Z`, "outline");
  }

  bar(size) {
    const { pixels, text } = scaleBar(this.data, size);
    const [x, y] = [0.04 * size, 0.955 * size];
    this.line(`M${x} ${y}h${pixels}`, "bar");
    const label = this.add("text", { x, y: y - 0.022 * size });
    label.style.fontSize = `${0.042 * size}px`;
    label.textContent = text;
  }
}
