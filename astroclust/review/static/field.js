// The field in tiles, with a marker at each object; drag to pan, wheel to zoom.

import { outline } from "./shapes.js";

const LARGEST = 16; // screen pixels per image pixel
const NEAR = 14; // screen pixels within which a click finds a marker

export class Field {
  constructor(root, state, source) {
    Object.assign(this, { root, state, source, tiles: new Map() });
    this.canvas = root.appendChild(document.createElement("canvas"));
    this.readout = root.appendChild(document.createElement("output"));
    this.readout.className = "readout";
    new ResizeObserver(() => this.resize()).observe(root);
    state.on("arranged labeled saved", () => this.later());
    state.on("chosen", () => this.follow());
    state.on("view", () => this.visible && (this.resize(), this.follow()));
    state.on("picture", () => this.later());
    this.listen();
  }

  get visible() {
    return this.state.view === "field";
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.grip = { x: event.offsetX, y: event.offsetY, moved: false };
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => {
      if (this.grip && !this.grip.moved) this.pick(event.offsetX, event.offsetY);
      this.grip = null;
    });
    canvas.addEventListener("dblclick", () => this.state.setView("single"));
  }

  resize() {
    if (!this.visible || !this.root.clientWidth) return;
    const ratio = devicePixelRatio || 1;
    this.width = this.root.clientWidth;
    this.height = this.root.clientHeight;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    this.ratio = ratio;
    if (!this.scale) this.fit();
    this.later();
  }

  fit() {
    const [ny, nx] = this.state.data.shape;
    this.scale = Math.min(this.width / nx, this.height / ny);
    this.center = { x: (nx - 1) / 2, y: (ny - 1) / 2 };
  }

  // From image pixels, y up, to the screen and back.
  toScreen(x, y) {
    return [
      this.width / 2 + (x - this.center.x) * this.scale,
      this.height / 2 - (y - this.center.y) * this.scale,
    ];
  }

  toImage(x, y) {
    return [
      this.center.x + (x - this.width / 2) / this.scale,
      this.center.y - (y - this.height / 2) / this.scale,
    ];
  }

  // Zoom around the selected object if it is in view.
  zoomByKey(factor) {
    const { chosen, data } = this.state;
    const [x, y] = data.inside[chosen] ? this.toScreen(data.x[chosen], data.y[chosen]) : [-1, -1];
    if (x >= 0 && y >= 0 && x <= this.width && y <= this.height) this.zoom(factor, x, y);
    else this.zoom(factor, this.width / 2, this.height / 2);
  }

  zoom(factor, x, y) {
    const before = this.toImage(x, y);
    const [ny, nx] = this.state.data.shape;
    const least = 0.5 * Math.min(this.width / nx, this.height / ny);
    this.scale = Math.min(LARGEST, Math.max(least, this.scale * factor));
    const after = this.toImage(x, y);
    this.pan(before[0] - after[0], before[1] - after[1]);
  }

  pan(dx, dy) {
    const [ny, nx] = this.state.data.shape;
    this.center.x = Math.min(nx, Math.max(0, this.center.x + dx));
    this.center.y = Math.min(ny, Math.max(0, this.center.y + dy));
    this.later();
  }

  drag(event) {
    const [x, y] = this.toImage(event.offsetX, event.offsetY);
    this.readout.textContent = `x ${x.toFixed(1)}  y ${y.toFixed(1)}`;
    if (!this.grip) return;
    const [dx, dy] = [event.offsetX - this.grip.x, event.offsetY - this.grip.y];
    if (!this.grip.moved && Math.hypot(dx, dy) < 4) return;
    this.grip = { x: event.offsetX, y: event.offsetY, moved: true };
    this.pan(-dx / this.scale, dy / this.scale);
  }

  pick(x, y) {
    let [best, nearest] = [-1, NEAR];
    for (const row of this.state.order) {
      if (!this.state.data.inside[row]) continue;
      const [px, py] = this.toScreen(this.state.data.x[row], this.state.data.y[row]);
      const distance = Math.hypot(px - x, py - y);
      if (distance < nearest) [best, nearest] = [row, distance];
    }
    if (best >= 0) this.state.choose(best);
  }

  // Keep the selected object in view.
  follow() {
    if (!this.visible || !this.scale) return;
    const { chosen, data } = this.state;
    if (data.inside[chosen]) {
      const [x, y] = this.toScreen(data.x[chosen], data.y[chosen]);
      const margin = 40;
      const out = x < margin || y < margin || x > this.width - margin || y > this.height - margin;
      if (out) this.center = { x: data.x[chosen], y: data.y[chosen] };
    }
    this.later();
  }

  later() {
    if (this.asked || !this.visible) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.fillStyle = "#0c0c0d";
    context.fillRect(0, 0, this.width, this.height);
    this.drawTiles(context);
    this.drawMarkers(context);
  }

  drawTiles(context) {
    const { tile, levels, shape } = this.state.data;
    const wanted = Math.round(-Math.log2(this.scale * this.ratio) - 0.2);
    const level = Math.min(levels, Math.max(0, wanted));
    const step = 2 ** level;
    const [ny, nx] = shape;
    const [left, top] = this.toImage(0, 0);
    const [right, bottom] = this.toImage(this.width, this.height);
    const side = tile * step;
    const first = [Math.floor((left + 0.5) / side), Math.floor((ny - 0.5 - top) / side)];
    const last = [Math.floor((right + 0.5) / side), Math.floor((ny - 0.5 - bottom) / side)];
    context.imageSmoothingEnabled = this.scale * step < 2;
    // Use coarser tiles until the finer ones have loaded.
    if (level < levels) this.drawTile(context, levels, 0, 0, tile * 2 ** levels);
    for (let line = Math.max(0, first[1]); line <= last[1] && line * side < ny; line++) {
      for (let column = Math.max(0, first[0]); column <= last[0] && column * side < nx; column++) {
        this.drawTile(context, level, column, line, side);
      }
    }
  }

  drawTile(context, level, column, line, side) {
    const image = this.image(level, column, line);
    if (!image?.complete || !image.naturalWidth) return;
    const [ny] = this.state.data.shape;
    const [x, y] = this.toScreen(column * side - 0.5, ny - 0.5 - line * side);
    context.drawImage(image, x, y, side * this.scale, side * this.scale);
  }

  image(level, column, line) {
    const url = this.source.tile(this.state.picture, level, column, line);
    if (!url) return null;
    let image = this.tiles.get(url);
    if (!image) {
      image = new Image();
      image.onload = () => this.later();
      image.onerror = () => setTimeout(() => this.tiles.delete(url), 3000);
      image.src = url;
      this.tiles.set(url, image);
      if (this.tiles.size > 300) this.tiles.delete(this.tiles.keys().next().value);
    }
    return image;
  }

  drawMarkers(context) {
    const { state } = this;
    const { x, y, inside } = state.data;
    const radius = Math.min(48, Math.max(3, 7 * this.scale));
    for (const row of state.order) {
      if (!inside[row]) continue;
      const [px, py] = this.toScreen(x[row], y[row]);
      if (px < -20 || py < -20 || px > this.width + 20 || py > this.height + 20) continue;
      const label = state.labelOf(row);
      const shown = label || state.modelClass(row);
      const { colors, shapes } = label ? state.data.labels : state.data;
      context.strokeStyle = colors[shown] ?? "#bbb";
      context.lineWidth = label ? 2.6 : 1.3;
      outline(context, shapes[shown], px, py, radius);
    }
    if (!inside[state.chosen]) return;
    const [px, py] = this.toScreen(x[state.chosen], y[state.chosen]);
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.setLineDash([5, 4]);
    outline(context, state.data.shapes[1], px, py, radius + 7);
    context.setLineDash([]);
  }
}
