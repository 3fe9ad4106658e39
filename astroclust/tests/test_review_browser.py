# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The page of a review in a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import warnings

import pytest
import requests
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, review_table
from astroclust.review import LabelStore, write_review
from astroclust.tests.firefox_bidi import write_launcher

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "firefox": ("firefox", "firefox-esr"),
}
SAVED = "#saving[data-state=saved]"


@pytest.fixture(scope="module", params=list(NAMES))
def browser(request, tmp_path_factory):
    """A browser of the system, or the one that the environment names."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    kind = request.param
    variable = f"ASTROCLUST_{kind.upper()}"
    program = os.environ.get(variable) or next(filter(None, map(shutil.which, NAMES[kind])), None)
    if program is None:
        pytest.skip(f"there is no {kind}: install it, or name it in {variable}")
    with playwright.sync_playwright() as driver:
        if kind == "firefox":
            launcher = write_launcher(tmp_path_factory.mktemp("firefox"), program)
            running = driver.firefox.launch(executable_path=launcher, channel="moz-firefox")
        else:
            running = driver.chromium.launch(executable_path=program)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page of a browser of its own, in which no program has failed at the end."""
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    page = context.new_page()
    page.set_default_timeout(120_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def result(field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps reach over the edge
        return classify_table(field.truth["id", "x", "y"], field.images)


@pytest.fixture
def server(result, field, tmp_path):
    labels = tmp_path / "r.labels.ecsv"
    with review_table(result, field.images, labels=labels, reviewer="anna", port=0) as running:
        yield running


def _open(page, url):
    page.goto(url)
    page.wait_for_selector("html[data-ready]")


def _labels(page):
    """The labels that the grid shows, by row."""
    cells = page.locator(".cell").all()
    shown = {
        int(cell.get_attribute("data-row")): cell.locator(".mine").inner_text() for cell in cells
    }
    return {row: int(label) for row, label in shown.items() if label}


def _start(command):
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if found := re.search(r"objects at (http://\S+)", line):
            return running, found[1]
    raise AssertionError("the command ended before it served")


def test_labels_outlive_a_kill(page, result, field, tmp_path, astroclust_command):
    field.images.write(tmp_path / "field.fits")
    result.write(tmp_path / "result.fits")
    images = [f"--image={name}={tmp_path}/field.fits[{name}]" for name in field.images.filters]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = ["--reviewer", "anna", "--port", port, "--no-browser"]
    command = [*astroclust_command, "review", str(tmp_path / "result.fits"), *images, *options]
    running, url = _start(command)
    _open(page, url)
    expected = {row: 1 + row % 4 for row in range(10)}
    for label in expected.values():
        page.keyboard.press(str(label))
    page.wait_for_selector(SAVED)
    assert _labels(page) == expected
    page.reload()
    page.wait_for_selector(".cell .mine[data-class='2']")
    assert _labels(page) == expected
    running.send_signal(signal.SIGKILL)
    running.communicate()
    page.keyboard.press("End")
    page.keyboard.press("4")  # while there is no server: kept, and shown as not saved
    page.wait_for_selector("#alarm:not([hidden])")
    assert "has it been stopped?" in page.inner_text("#alarm")
    running, url = _start(command)
    page.wait_for_selector(SAVED)
    page.reload()
    page.wait_for_selector(".cell .mine[data-class='2']")
    assert _labels(page) == expected | {len(result) - 1: 4}
    running.send_signal(signal.SIGKILL)
    running.communicate()
    votes = LabelStore(tmp_path / "result.labels.ecsv", result["x"], result["y"]).votes()["anna"]
    assert votes[:10].tolist() == list(expected.values())


def test_keys(page, server, result):
    _open(page, server.url)
    for key in ("3", "2", "u", "4", "Control+z"):
        page.keyboard.press(key)
    page.wait_for_selector(SAVED)
    assert _labels(page) == {0: 3}
    page.keyboard.press("0")  # the object that the undo went back to has no label
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    page.wait_for_selector(SAVED)
    assert _labels(page) == {}
    page.keyboard.press("n")
    row = int(page.locator("[aria-selected=true]").get_attribute("data-row"))
    others = [entropy for i, entropy in enumerate(result["entropy"]) if i != 0]
    assert result["entropy"][row] >= sorted(others)[-2]
    page.keyboard.press("Control+1")  # belongs to the browser
    page.keyboard.press("Enter")
    assert page.locator("#single h2").inner_text() == f"Object {result['id'][row]}"
    page.keyboard.press("Escape")
    assert page.locator("#grid").is_visible()
    assert _labels(page) == {}


def test_a_key_in_a_text_field_is_text(page, server):
    _open(page, server.url)
    page.keyboard.press("m")
    page.keyboard.type("1 or 2? u n")
    page.keyboard.press("Enter")
    page.wait_for_selector(SAVED)
    page.fill("#reviewer", "")
    page.locator("#reviewer").press_sequentially("eva 4")
    page.keyboard.press("Enter")
    page.focus("#sort")
    page.keyboard.press("3")
    page.keyboard.press("?")
    server.store.refresh()
    assert [(entry.label, entry.note) for entry in server.store.entries] == [(None, "1 or 2? u n")]
    page.locator("#single").evaluate("(view) => view.focus()")
    page.keyboard.press("g")
    page.keyboard.press("2")
    page.wait_for_selector(SAVED)
    server.store.refresh()
    assert server.store.entries[-1].reviewer == "eva 4"
    page.keyboard.press("?")
    page.keyboard.press("1")  # the help covers the stamps
    page.keyboard.press("Escape")
    server.store.refresh()
    assert len(server.store.entries) == 2


def test_what_is_not_saved_is_shown(page, server):
    _open(page, server.url)
    page.keyboard.press("1")
    page.wait_for_selector(SAVED)
    server.store.path.chmod(0o444)
    page.keyboard.press("2")
    page.wait_for_selector("#alarm:not([hidden])")
    assert "is read-only: allow it to be written" in page.inner_text("#alarm")
    assert page.locator(".cell.unsaved").count() == 1
    page.reload()  # kept in the browser
    page.wait_for_selector(".cell.unsaved")
    server.store.path.chmod(0o644)
    page.click("#alarm button")
    page.wait_for_selector(SAVED)
    assert page.locator("#alarm").is_hidden()
    server.store.refresh()
    assert server.store.votes()["anna"][:3].tolist() == [1, 2, 0]


def test_two_reviewers_see_each_other(browser, page, server):
    _open(page, server.url)
    other = browser.new_context().new_page()
    _open(other, server.url)
    other.fill("#reviewer", "ben")
    other.keyboard.press("Enter")
    page.keyboard.press("1")
    other.keyboard.press("2")
    page.wait_for_selector(".cell.differ")
    other.wait_for_selector(".cell.differ")
    assert _labels(page) == {0: 1}
    assert _labels(other) == {0: 2}
    other.reload()
    other.wait_for_selector(".cell.differ")
    assert other.input_value("#reviewer") == "ben"
    page.select_option("#shown", "tied")
    assert page.locator(".cell").count() == 1
    page.keyboard.press("Enter")
    assert "ben ■ 2" in page.inner_text(".votes")
    other.context.close()


def test_sorting_and_filters(page, server, result):
    _open(page, server.url)

    def rows():
        cells = page.locator(".cell").all()
        cells = sorted(cells, key=lambda cell: int(cell.get_attribute("aria-posinset")))
        return [int(cell.get_attribute("data-row")) for cell in cells]

    page.select_option("#sort", "entropy")
    assert result["entropy"][rows()].tolist() == sorted(result["entropy"], reverse=True)
    page.click("#direction")
    assert result["entropy"][rows()].tolist() == sorted(result["entropy"])
    given = sorted(set(result["class"]))
    page.click(f".chip[data-class='{given[0]}']")
    assert set(result["class"][rows()]) == set(given[1:])
    for number in given[1:]:
        page.click(f".chip[data-class='{number}']")
    assert page.locator("#grid .empty").is_visible()
    page.keyboard.press("1")  # there is nothing to label
    page.click(f".chip[data-class='{given[0]}']")
    assert _labels(page) == {}


def _wait_for_picture(page, selector):
    """Wait until more than ten shades are drawn."""
    page.wait_for_function(
        """(selector) => {
            const canvas = document.querySelector(selector);
            if (!canvas || !canvas.width || !canvas.height) return false;
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(pixels.data).size > 10;
        }""",
        arg=selector,
    )


def test_one_object_and_the_field(page, server, field):
    _open(page, server.url)
    page.keyboard.press("Enter")
    page.wait_for_selector(".charts svg >> nth=1")
    assert page.locator(".magnitudes tr").count() == len(field.images)
    _wait_for_picture(page, "canvas.large")
    page.keyboard.press("s")
    page.wait_for_selector(".saliency img", timeout=120_000)
    page.keyboard.press("f")
    _wait_for_picture(page, "#field canvas")
    page.keyboard.press("+")
    box = page.locator("#field canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.wheel(0, -400)
    page.mouse.down()
    page.mouse.move(box["x"] + 350, box["y"] + 320)
    page.mouse.up()
    assert re.match(r"x [\d.-]+ +y [\d.-]+", page.inner_text("#field output"))


def test_a_page_that_was_mailed(page, result, field, tmp_path):
    write_review(result, field.images, tmp_path / "page.html")
    _open(page, f"file://{tmp_path}/page.html")
    assert page.locator(".cell").count() == len(result)
    page.keyboard.press("1")  # asks for a name first
    page.keyboard.type("ben")
    page.keyboard.press("Enter")
    page.keyboard.press("3")
    page.keyboard.press("m")
    page.keyboard.type('a "small", faint one')
    page.keyboard.press("Enter")
    page.wait_for_selector(".charts svg")
    page.reload()
    page.wait_for_selector(".cell .mine[data-class='3']")
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(tmp_path / "ben.labels.ecsv")
    store = LabelStore(tmp_path / "mine.ecsv", result["x"], result["y"])
    assert store.merge(tmp_path / "ben.labels.ecsv") == 2
    assert store.votes()["ben"][0] == 3
    assert store.entries[-1].note == 'a "small", faint one'


def test_no_page_from_elsewhere_can_label(page, server, tmp_path):
    """A form on a page of another origin, as a real browser sends it."""
    form = tmp_path / "evil.html"
    form.write_text(
        f'<form method="post" enctype="text/plain" action="{server.url}api/labels">'
        '<input name=\'{"row":0,"class":4,"reviewer":"mallory","x":"\' value=\'"}\'>'
        "<button>go</button></form>"
    )
    page.goto(f"file://{form}")
    page.click("button")
    page.wait_for_load_state()
    assert "only this machine's own page is answered" in page.inner_text("body")
    server.store.refresh()
    assert not server.store.entries
    assert requests.get(server.url, timeout=10).headers["X-Content-Type-Options"] == "nosniff"
