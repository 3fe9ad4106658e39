# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the response times of ``astroclust review`` in Chromium.

A field is simulated, its candidates are classified, and they are repeated at randomly shifted
positions until their number is the requested one. The benchmark prints the start-up time of the
server; the time from the request of the page until the first stamps are painted; the time from
pressing a label key until the label is on disk and shown as saved; and the frame times while
scrolling through the grid. With ``--pictures``, the pictures for ``docs/review.rst`` are made
instead.
"""

import argparse
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from PIL import Image
from playwright.sync_api import sync_playwright

from astroclust import classify_table, review_table, simulate_field
from astroclust.review import Page

# Maximum size of a picture in the docs, in bytes.
LARGEST = 300_000
# Time for each of some label keys, in ms.
LABEL = """
async (keys) => {
  const status = document.getElementById("saving");
  const took = [];
  for (const key of keys) {
    const start = performance.now();
    const saved = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (status.dataset.state !== "saved") return;
        observer.disconnect();
        resolve();
      });
      observer.observe(status, { attributes: true, attributeFilter: ["data-state"] });
    });
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await saved;
    took.push(performance.now() - start);
    await new Promise(requestAnimationFrame);
  }
  return took;
}
"""
# Frame times in ms while the grid is scrolled down by some pixels per frame.
SCROLL = """
async (step) => {
  const grid = document.getElementById("grid");
  const took = [];
  let last = performance.now();
  while (grid.scrollTop + grid.clientHeight < grid.scrollHeight - 1) {
    grid.scrollTop += step;
    await new Promise(requestAnimationFrame);
    took.push(performance.now() - last);
    last = performance.now();
  }
  return took;
}
"""


def make_table(n, seed):
    """Classified candidates of a simulated field, repeated until there are n."""
    field = simulate_field(like="ngc628-c", shape=(1000, 1000), density=3e-4, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps extend beyond the edge
        result = classify_table(field.truth["id", "x", "y"], field.images)
    rng = np.random.default_rng(seed)
    table = result[np.arange(n) % len(result)]
    repeated = np.arange(n) >= len(result)
    for name in ("x", "y"):
        moved = table[name] + repeated * rng.normal(0, 2, n)
        table[name] = np.clip(moved, 0, 999)
    table["id"] = np.arange(1, n + 1)
    return table, field.images


def measure(page, table, images, folder):
    """Print the response times."""
    start = time.perf_counter()
    with review_table(table, images, labels=folder / "l.ecsv", reviewer="anna", port=0) as server:
        ready = time.perf_counter() - start
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]")
        marks = "performance.getEntriesByName('first-stamps').map((mark) => mark.startTime)"
        while not (painted := page.evaluate(marks)):
            time.sleep(0.01)
        print(f"{len(table)} objects")
        print(f"table checked and server started   {ready:8.2f} s")
        print(f"page request to stamps painted     {painted[0] / 1e3:8.2f} s")
        took = np.array(page.evaluate(LABEL, [str(1 + i % 4) for i in range(100)]))
        print(f"label key to saved, median of 100  {np.median(took):8.1f} ms")
        print(f"label key to saved, 95th percentile{np.percentile(took, 95):8.1f} ms")
        print(f"label key to saved, slowest        {took.max():8.1f} ms")
        took = np.array(page.evaluate(SCROLL, 60))
        print(f"scrolling frame, median            {np.median(took):8.1f} ms")
        print(f"scrolling frame, 99th percentile   {np.percentile(took, 99):8.1f} ms")


def draw(page, table, images, folder, output):
    """Make the pictures for the docs."""
    options = {
        "labels": folder / "d.ecsv",
        "reviewer": "anna",
        "page": Page("ngc628.fits", distance=9.9),
        "port": 0,
    }
    with review_table(table, images, **options) as server:
        for i, row in enumerate(np.flatnonzero(table["probability"] < 0.9)[:9]):
            server.store.add(int(row), reviewer="ben", label=1 + i % 4)
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]")
        page.select_option("#sort", "entropy")
        for key in "231142":
            page.keyboard.press(key)
        page.wait_for_timeout(1500)
        save(page, output / "review_grid.png")
        page.keyboard.press("Enter")
        page.keyboard.press("s")
        page.wait_for_selector(".saliency img", timeout=120_000)
        page.wait_for_timeout(500)
        save(page, output / "review_object.png")
        page.keyboard.press("f")
        for _ in range(2):
            page.keyboard.press("+")
        page.wait_for_timeout(2000)
        save(page, output / "review_field.png")
        rng = np.random.default_rng(1)
        for row in range(60):
            for name in ("anna", "ben", "eva"):
                label = table["class"][row] if rng.random() < 0.8 else rng.integers(1, 5)
                server.store.add(row, reviewer=name, label=int(label), blind=name != "eva")
        page.set_viewport_size({"width": 1000, "height": 560})
        page.goto(f"{server.url}agreement")
        page.wait_for_selector(".matrix")
        save(page, output / "review_agreement.png")
    draw_confirmation(page, table, images, folder, output)


def draw_confirmation(page, table, images, folder, output):
    """Make the picture of a high-purity sample."""
    options = {
        "labels": folder / "d.confirm.ecsv",
        "reviewer": "anna",
        "page": Page("ngc628.fits", distance=9.9, confirm=0.8),
        "port": 0,
    }
    with review_table(table, images, **options) as server:
        page.set_viewport_size({"width": 1250, "height": 780})
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]")
        for key in "yyxyxyyy":
            page.keyboard.press(key)
        page.wait_for_timeout(1500)
        save(page, output / "review_confirm.png")


def save(page, path):
    """Save a picture of the page, scaled down and with few shades for a small file."""
    page.screenshot(path=path)
    picture = Image.open(path).convert("RGB")
    picture = np.asarray(picture.resize((1000, picture.height * 1000 // picture.width)), float)
    for step in (4, 8, 16, 24):
        rounded = np.minimum(np.round(picture / step) * step, 255).astype(np.uint8)
        Image.fromarray(rounded).save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    print(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")


def main():
    """Make a table, open the page, and print response times or make pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=5000, help="objects (default: 5000)")
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument(
        "--pictures", type=Path, help="make pictures in this folder, without measurements"
    )
    parser.add_argument(
        "--chromium",
        default=os.environ.get("ASTROCLUST_CHROMIUM") or shutil.which("chromium"),
        help="browser executable (default: that of the system)",
    )
    arguments = parser.parse_args()
    pictures = arguments.pictures
    table, images = make_table(280 if pictures else arguments.n, arguments.seed)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=arguments.chromium)
        size = {"width": 1250, "height": 780} if pictures else {"width": 1400, "height": 900}
        page = browser.new_page(viewport=size)
        if pictures:
            draw(page, table, images, Path(folder), pictures)
        else:
            measure(page, table, images, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
