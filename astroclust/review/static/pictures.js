// Sheets of stamps, requested when they come into view, a few at a time, latest first.

const PER_SHEET = 32;
const AT_ONCE = 3;
const KEPT = 400; // sheets

export class Pictures extends EventTarget {
  constructor(source, data) {
    super();
    this.source = source;
    this.columns = data.sheet_columns;
    this.fixed = !source.live;
    this.sheets = new Map(); // in order of use
    this.tiles = new Map(); // "name row" to tile
    this.busy = 0;
  }

  // Position of the picture of a row in a sheet, or null while it is loading.
  tile(name, row) {
    if (this.fixed) return this.source.fixedTile(name, row);
    const tile = this.tiles.get(`${name} ${row}`);
    return tile?.sheet.url ? tile : null;
  }

  // Request the pictures of rows in view; "loaded" is emitted when more are available.
  want(name, rows) {
    if (this.fixed) return;
    const missing = rows.filter((row) => !this.tiles.has(`${name} ${row}`));
    while (missing.length && this.busy < AT_ONCE) this.load(name, missing.splice(0, PER_SHEET));
  }

  async load(name, rows) {
    const sheet = { keys: rows.map((row) => `${name} ${row}`), url: null };
    rows.forEach((row, i) => {
      const tile = { sheet, column: i % this.columns, line: Math.floor(i / this.columns) };
      Object.defineProperty(tile, "url", { get: () => sheet.url });
      this.tiles.set(`${name} ${row}`, tile);
    });
    this.busy++;
    try {
      sheet.url = await this.source.sheet(name, rows);
      this.sheets.set(sheet, true);
      this.dropOldest();
    } catch {
      // Requested again when next drawn, not immediately, as the server may have stopped.
      setTimeout(() => {
        sheet.keys.forEach((key) => this.tiles.delete(key));
        this.dispatchEvent(new Event("loaded"));
      }, 2000);
    }
    this.busy--;
    this.dispatchEvent(new Event("loaded"));
  }

  dropOldest() {
    while (this.sheets.size > KEPT) {
      const sheet = this.sheets.keys().next().value;
      this.sheets.delete(sheet);
      sheet.keys.forEach((key) => this.tiles.delete(key));
      URL.revokeObjectURL(sheet.url);
    }
  }
}

const images = new Map();

function load(url) {
  if (!images.has(url)) {
    const image = new Image();
    image.src = url;
    images.set(url, image.decode().then(() => image));
    if (images.size > 200) images.delete(images.keys().next().value);
  }
  return images.get(url);
}

// Draw a picture unless another row is shown by the time it has loaded.
export async function drawWhole(canvas, url, row) {
  canvas.dataset.row = row;
  canvas.dataset.url = url;
  const image = await load(url).catch(() => images.delete(url) && null);
  if (!image || canvas.dataset.url !== url) return;
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
}

// Draw the stamp of a row into a canvas, pixel by pixel.
export async function drawStamp(canvas, source, name, row, size) {
  canvas.width = canvas.height = size;
  canvas.dataset.row = row;
  const { url, column, line } = source.stamp(name, row);
  canvas.dataset.url = url;
  const image = await load(url).catch(() => images.delete(url) && null);
  if (!image || canvas.dataset.row !== String(row) || canvas.dataset.url !== url) return;
  const context = canvas.getContext("2d");
  context.drawImage(image, column * size, line * size, size, size, 0, 0, size, size);
}
