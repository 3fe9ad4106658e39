// Source of objects, pictures and labels: the server, or data embedded in the page.

const TIME_OUT = 60_000; // ms after which the server is considered stopped

async function ask(url, options = {}) {
  let reply;
  try {
    reply = await fetch(url, { ...options, signal: AbortSignal.timeout(TIME_OUT) });
  } catch {
    throw new Error("astroclust review does not respond; restart it if it was stopped");
  }
  if (!reply.ok) {
    const error = new Error((await reply.text()) || reply.statusText);
    throw Object.assign(error, { refused: reply.status === 400 });
  }
  return reply;
}

class Server {
  live = true;

  async describe() {
    return (await ask("/api/objects")).json();
  }

  // Address of a sheet with several rows.
  async sheet(name, rows) {
    const reply = await ask(`/sheets/${name}?rows=${rows.join(",")}`);
    return URL.createObjectURL(await reply.blob());
  }

  stamp(name, row) {
    return { url: `/stamps/${name}/${row}`, column: 0, line: 0 };
  }

  tile(name, level, column, line) {
    return `/tiles/${name}/${level}/${column}/${line}`;
  }

  context(name, row) {
    return `/contexts/${name}/${row}`;
  }

  async measures(row) {
    return (await ask(`/api/measures/${row}`)).json();
  }

  async saliency(row) {
    return (await ask(`/api/saliency/${row}`)).json();
  }

  async labels(since, generation) {
    return (await ask(`/api/labels?since=${since}&gen=${generation}`)).json();
  }

  async save(entry) {
    const body = JSON.stringify(entry);
    const headers = { "Content-Type": "application/json" };
    return (await ask("/api/labels", { method: "POST", headers, body })).json();
  }
}

// Self-contained page: labels are stored in this browser until they are exported.
class Embedded {
  live = false;

  constructor(data) {
    this.data = data;
    this.urls = new Map();
    this.key = `astroclust-review:${data.key}`;
  }

  async describe() {
    return this.data;
  }

  fixedTile(name, row) {
    const { per_sheet: perSheet, sheet_columns: columns } = this.data;
    const index = row % perSheet;
    const url = this.sheetUrl(name, Math.floor(row / perSheet));
    return { url, column: index % columns, line: Math.floor(index / columns) };
  }

  // Short address of an embedded picture.
  sheetUrl(name, number) {
    const key = `${name} ${number}`;
    if (!this.urls.has(key)) {
      const bytes = Uint8Array.from(atob(this.data.sheets[name][number]), (c) => c.charCodeAt(0));
      this.urls.set(key, URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })));
    }
    return this.urls.get(key);
  }

  stamp(name, row) {
    return this.fixedTile(name, row);
  }

  tile() {
    return null;
  }

  // Always in color; null in a page of many objects.
  context(name, row) {
    const picture = this.data.context?.[row];
    return picture ? `data:image/jpeg;base64,${picture}` : null;
  }

  async measures(row) {
    return this.data.measures?.[row] ?? null;
  }

  entries() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? [];
    } catch {
      return this.kept ?? [];
    }
  }

  async labels(since) {
    const entries = this.entries().map((e) => [e.row, e.reviewer, e.class, e.note, e.blind]);
    return { generation: 1, next: entries.length, entries: entries.slice(since) };
  }

  async save(entry) {
    const time = new Date().toISOString().slice(0, 19) + "Z";
    const entries = [...this.entries(), { ...entry, time }];
    this.kept = entries;
    try {
      localStorage.setItem(this.key, JSON.stringify(entries));
    } catch (error) {
      throw new Error(`this browser does not store data (${error.name}); export the labels now`);
    }
    return entry;
  }

  // Same format as the label files of astroclust review.
  file() {
    const quote = (text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const { ids, exact } = this.data;
    const lines = this.entries().map((e) => {
      const position = [e.row, quote(ids[e.row]), exact.x[e.row], exact.y[e.row]];
      const how = [e.blind ? "True" : "False", quote(e.order ?? ""), e.time];
      return [...position, quote(e.reviewer), e.class ?? "", quote(e.note), ...how].join(",");
    });
    return this.data.header + lines.map((line) => `${line}\n`).join("");
  }
}

const embedded = document.getElementById("review-data");

export const source = embedded ? new Embedded(JSON.parse(embedded.textContent)) : new Server();
