# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The page of a review in a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import warnings

import numpy as np
import pytest
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, review_table
from astroclust.review import LabelStore, Page, write_review
from astroclust.tests.firefox_bidi import write_launcher

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "firefox": ("firefox", "firefox-esr"),
}
SAVED = "#saving[data-state=saved]"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module", params=list(NAMES))
def browser(request, tmp_path_factory, downloads):
    """A browser of the system, or the one that the environment names."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    kind = request.param
    variable = f"ASTROCLUST_{kind.upper()}"
    program = os.environ.get(variable) or next(filter(None, map(shutil.which, NAMES[kind])), None)
    if program is None:
        pytest.skip(f"{kind} is not installed; install it, or name it in {variable}")
    with playwright.sync_playwright() as driver:
        if kind == "firefox":
            launcher = write_launcher(tmp_path_factory.mktemp("firefox"), program)
            options = {"channel": "moz-firefox", "downloads_path": downloads}
            try:
                running = driver.firefox.launch(executable_path=launcher, **options)
            except playwright.Error as error:
                if "unknown command" not in str(error):
                    raise
                pytest.skip(f"playwright needs a newer Firefox ({error.message.splitlines()[0]})")
        else:
            running = driver.chromium.launch(executable_path=program)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page of a browser of its own, in which no program has failed at the end."""
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    page = context.new_page()
    page.set_default_timeout(60_000)
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


def _name(page, name):
    """Type the name of a reviewer; Firefox does not count what `fill` does as a change."""
    page.fill("#reviewer", "")
    page.locator("#reviewer").press_sequentially(name)
    page.keyboard.press("Enter")


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
    page.wait_for_selector(".cell .mine[data-label='2']")
    assert _labels(page) == expected
    running.send_signal(signal.SIGKILL)
    running.communicate()
    page.keyboard.press("End")
    page.keyboard.press("4")  # while there is no server: kept, and shown as not saved
    page.wait_for_selector("#alarm:not([hidden])")
    assert "restart it if it was stopped" in page.inner_text("#alarm")
    running, url = _start(command)
    page.wait_for_selector(SAVED)
    page.reload()
    page.wait_for_selector(".cell .mine[data-label='2']")
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
    _name(page, "eva 4")
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
    assert "is read-only; make it writable" in page.inner_text("#alarm")
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
    _name(other, "ben")
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


def _save(page, downloads, path):
    """Click what saves the labels, and put the file where the test looks for it."""
    if page.context.browser.browser_type.name != "firefox":
        with page.expect_download() as download:
            page.click("#export")
        download.value.save_as(path)
        return
    # By WebDriver BiDi no event tells of the download.
    page.click("#export")
    for _ in range(100):
        page.wait_for_timeout(100)
        found = [one for one in downloads.glob("*.labels.ecsv") if one.stat().st_size]
        if found and not list(downloads.glob("*.part")):
            found[0].rename(path)
            return
    raise AssertionError(f"nothing was saved: {list(downloads.iterdir())}")


def _wait_for_picture(page, selector):
    """Wait until more than ten shades are drawn."""
    script = """(selector) => {
        const canvas = document.querySelector(selector);
        if (!canvas || !canvas.width || !canvas.height) return false;
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(pixels.data).size > 10;
    }"""
    # Page.wait_for_function needs eval in versions of playwright that the page's policy stops.
    for _ in range(600):
        if page.evaluate(script, selector):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} has no picture")


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


def test_a_page_that_was_mailed(page, result, field, downloads, tmp_path):
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
    page.wait_for_selector(".cell .mine[data-label='3']")
    _save(page, downloads, tmp_path / "ben.labels.ecsv")
    store = LabelStore(tmp_path / "mine.ecsv", result["x"], result["y"])
    assert store.merge(tmp_path / "ben.labels.ecsv") == 2
    assert store.votes()["ben"][0] == 3
    assert store.entries[-1].note == 'a "small", faint one'


def test_confirming_and_rejecting(page, result, field, tmp_path):
    labels, confirm = tmp_path / "r.confirm.ecsv", float(np.median(result["probability"]))
    options = {"labels": labels, "reviewer": "anna", "page": Page(confirm=confirm), "port": 0}
    with review_table(result, field.images, **options) as server:
        _open(page, server.url)
        n = len(server.objects)
        assert n < len(result)
        assert page.locator(".cell").count() == n
        assert page.inner_text("#confirm").startswith("confirm p ≥")
        page.keyboard.press("2")  # not a label here: it would read as class 2
        for key in ("y", "x", "y", "u"):
            page.keyboard.press(key)
        page.wait_for_selector(SAVED)
        assert page.inner_text("#progress") == "1 confirmed, 1 rejected"
        page.uncheck("#advance")
        page.locator("#grid").evaluate("(view) => view.focus()")
        page.keyboard.press("Enter")
        row = int(np.flatnonzero(result["probability"] >= confirm)[2])
        title = page.inner_text("#single h2")
        assert title.startswith(f"Object {result['id'][row]}: ")
        assert f" {result['class'][row]} " in title
        page.click(".label[data-label='2']")
        page.wait_for_selector(SAVED)
        assert "anna ✖ rejected" in page.inner_text(".votes")
        exported = requests.get(server.url + "api/votes.ecsv", timeout=60).text
        assert len(Table.read(exported, format="ascii.ecsv")) == 1
    with review_table(result, field.images, **options) as server:
        _open(page, server.url)
        page.wait_for_selector(".cell .mine[data-label='1']")
        marks = [cell.inner_text() for cell in page.locator(".cell .mine").all()]
        assert sorted(filter(None, marks)) == ["●", "✖", "✖"]


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
    assert "only requests from the page on this computer are answered" in page.inner_text("body")
    server.store.refresh()
    assert not server.store.entries
    assert requests.get(server.url, timeout=10).headers["X-Content-Type-Options"] == "nosniff"


# A blind review


@pytest.fixture
def blind(result, field, tmp_path):
    page = Page(blind=True, order="random", seed=4)
    labels = tmp_path / "b.labels.ecsv"
    with review_table(
        result, field.images, labels=labels, reviewer="anna", port=0, page=page
    ) as running:
        yield running


def _order(page):
    cells = page.locator(".cell").all()
    cells = sorted(cells, key=lambda cell: int(cell.get_attribute("aria-posinset")))
    return [int(cell.get_attribute("data-row")) for cell in cells]


def _shown(page, row):
    """Own label, class and number of a row in the grid, and whether labels differ."""
    cell = page.locator(f".cell[data-row='{row}']")
    texts = [cell.locator(part).inner_text() for part in (".mine", ".model", ".number")]
    return *texts, "differ" in cell.get_attribute("class")


def test_a_blind_review_hides_what_others_say(page, blind, result):
    for row in range(len(result)):
        blind.store.add(row, reviewer="ben", label=1 + row % 4, note="seen by ben")
    _open(page, blind.url)
    assert page.locator("#blind").is_visible()
    assert page.locator("#classes").is_hidden()
    rows = np.random.default_rng(4).permutation(len(result)).tolist()
    assert _order(page) == rows
    ids = [str(name) for name in result["id"]]
    for row in rows:
        assert _shown(page, row) == ("", "", ids[row], False)
        said = page.locator(f".cell[data-row='{row}']").get_attribute("aria-label")
        assert said == f"object {ids[row]}, class hidden"
    page.select_option("#shown", "tied")
    assert page.locator(".cell").count() == 0
    page.select_option("#shown", "noted")
    assert page.locator(".cell").count() == 0
    page.select_option("#shown", "all")
    # One object: neither votes, notes, probabilities, entropy nor saliency.
    page.uncheck("#advance")
    page.locator("#grid").evaluate("(view) => view.focus()")
    page.keyboard.press("Enter")
    first = rows[0]
    assert page.locator("#single h2").inner_text() == f"Object {ids[first]}"
    assert page.locator(".votes li").count() == 0
    assert page.locator(".probability").count() == 0
    assert "Blind: class, probabilities" in page.inner_text(".probabilities")
    assert "entropy" not in page.inner_text(".facts")
    assert page.locator(".saliency button").count() == 0
    page.keyboard.press("s")
    assert page.inner_text("#saving") == "hidden until labeled"
    assert page.locator(".saliency").inner_text() == ""
    # All of it is there once it is labeled.
    label = 1 + (first + 1) % 4
    page.keyboard.press(str(label))
    page.wait_for_selector(SAVED)
    assert f"anna {_sign(page, label)} {label} (blind)" in page.inner_text(".votes")
    assert "seen by ben" in page.inner_text(".votes")
    assert page.locator(".probability").count() == 4
    assert "entropy" in page.inner_text(".facts")
    assert page.locator(".saliency button").count() == 1
    page.keyboard.press("g")
    page.wait_for_selector(f".cell[data-row='{first}'] .model:not(:empty)")
    mine, model, number, differ = _shown(page, first)
    assert (mine, differ) == (str(label), True)
    assert model.endswith(f" {result['class'][first]}")
    assert number == f"p {result['probability'][first]:.2f}"
    assert _shown(page, rows[1]) == ("", "", ids[rows[1]], False)


def _sign(page, label):
    return page.locator(f".label[data-label='{label}'] .shape").inner_text()


def test_each_label_says_whether_it_was_blind(page, blind):
    _open(page, blind.url)
    page.uncheck("#advance")
    page.locator("#grid").evaluate("(view) => view.focus()")
    first, second = _order(page)[:2]
    page.keyboard.press("2")
    page.keyboard.press("3")  # she has seen the class by now
    page.keyboard.press("u")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("4")
    page.keyboard.press("m")
    page.keyboard.type("faint")
    page.keyboard.press("Enter")
    page.wait_for_selector(SAVED)
    blind.store.refresh()
    told = [(e.row, e.label, e.blind, e.note) for e in blind.store.entries]
    assert told == [
        (first, 2, True, ""),
        (first, 3, False, ""),
        (first, 2, False, ""),
        (second, 4, True, ""),
        (second, 4, True, "faint"),
    ]
    assert {entry.order for entry in blind.store.entries} == {"random seed=4"}
    page.keyboard.press("g")
    page.select_option("#sort", "entropy")
    page.click("#direction")
    page.keyboard.press("End")
    page.keyboard.press("1")
    page.wait_for_selector(SAVED)
    page.reload()  # what she has labeled stays in sight
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector(f".cell[data-row='{first}'] .model:not(:empty)")
    blind.store.refresh()
    assert blind.store.entries[-1].order == "uncertainty reversed"
    assert blind.store.entries[-1].blind


def test_a_label_kept_in_the_browser_stays_blind(page, blind):
    _open(page, blind.url)
    page.keyboard.press("1")
    page.wait_for_selector(SAVED)
    blind.store.path.chmod(0o444)
    page.keyboard.press("2")
    page.wait_for_selector("#alarm:not([hidden])")
    page.reload()
    page.wait_for_selector(".cell.unsaved")
    blind.store.path.chmod(0o644)
    page.click("#alarm button")
    page.wait_for_selector(SAVED)
    blind.store.refresh()
    assert [(e.label, e.blind, e.order) for e in blind.store.entries] == [
        (1, True, "random seed=4"),
        (2, True, "random seed=4"),
    ]


def test_a_mailed_page_is_blind_too(page, result, field, downloads, tmp_path):
    write_review(result, field.images, tmp_path / "page.html", page=Page(blind=True))
    _open(page, f"file://{tmp_path}/page.html")
    assert page.locator("#blind").is_visible()
    assert not any(cell.inner_text() for cell in page.locator(".cell .model").all())
    page.uncheck("#advance")
    _name(page, "ben")
    page.locator("#grid").evaluate("(view) => view.focus()")
    page.keyboard.press("3")
    page.keyboard.press("4")
    page.wait_for_selector(".cell[data-row='0'] .mine[data-label='4']")
    page.wait_for_selector(".cell[data-row='0'] .model:not(:empty)")
    assert _shown(page, 0)[1].endswith(f" {result['class'][0]}")
    page.reload()
    page.wait_for_selector(".cell[data-row='0'] .mine[data-label='4']")
    page.wait_for_selector(".cell[data-row='0'] .model:not(:empty)")
    assert _shown(page, 0)[1].endswith(f" {result['class'][0]}")
    assert _shown(page, 1)[1] == ""
    page.keyboard.press("w")
    _wait_for_picture(page, "canvas.large")
    assert page.locator("canvas.large").get_attribute("aria-label").startswith("surroundings")
    _save(page, downloads, tmp_path / "ben.labels.ecsv")
    store = LabelStore(tmp_path / "mine.ecsv", result["x"], result["y"])
    assert store.merge(tmp_path / "ben.labels.ecsv") == 2
    assert [(e.label, e.blind, e.order) for e in store.entries] == [
        (3, True, "table"),
        (4, False, "table"),
    ]


def _bounds(page, selector):
    """Box of a part of the overlay, as fractions of the picture with y down."""
    picture, overlay = (page.locator(one).bounding_box() for one in ("canvas.large", ".overlay"))
    assert overlay == pytest.approx(picture, abs=0.5)
    # Without the width of the stroke, which browsers count differently.
    return page.locator(selector).first.evaluate(
        """(path) => {
            const { x, y, width, height } = path.getBBox();
            const size = path.ownerSVGElement.viewBox.baseVal.width;
            return [x, y, x + width, y + height].map((value) => value / size);
        }"""
    )


def test_marker_scale_bar_and_surroundings(page, result, field, tmp_path):
    labels, settings = tmp_path / "l.ecsv", Page(distance=9.9)
    with review_table(result, field.images, labels=labels, port=0, page=settings) as server:
        _open(page, server.url)
        page.keyboard.press("Enter")
        _wait_for_picture(page, "canvas.large")
        scale = field.images.pixel_scale.value
        text = page.text_content(".overlay text")
        arcsec, pc = re.fullmatch(r"([\d.]+)″ = (\d+) pc", text).groups()
        assert float(pc) == pytest.approx(float(arcsec) * 9.9e6 * np.pi / 648_000, rel=0.05)
        left, _, right, _ = _bounds(page, ".overlay .bar.stroke")
        assert (right - left) * 50 * scale == pytest.approx(float(arcsec), rel=1e-3)
        # The marker is about the position, which is 24.5 pixels from the left edge or a bit more.
        left, top, right, bottom = _bounds(page, ".overlay .marker.stroke")
        x, y = result["x"][0], result["y"][0]
        expected = (x - np.ceil(x - 25) + 0.5) / 50, 1 - (y - np.ceil(y - 25) + 0.5) / 50
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(expected, abs=2e-4)
        page.keyboard.press("t")
        assert page.locator(".overlay .marker").count() == 0
        assert not page.locator("body.marked").count()
        page.keyboard.press("w")
        page.wait_for_selector("canvas.large[width='200']")
        left, top, right, bottom = _bounds(page, ".overlay .outline.stroke")
        assert (left, top, right, bottom) == pytest.approx((3 / 8, 3 / 8, 5 / 8, 5 / 8))
        page.keyboard.press("t")
        left, _, right, _ = _bounds(page, ".overlay .marker.stroke")
        assert (left + right) / 2 == pytest.approx((expected[0] * 50 + 75) / 200, abs=2e-4)
        page.keyboard.press("w")
        page.wait_for_selector("canvas.large[width='50']")


def test_positions_on_the_sky_can_be_copied(page, server, result, field):
    _open(page, server.url)
    page.keyboard.press("Enter")
    expected = field.images.wcs.pixel_to_world(result["x"][0], result["y"][0]).icrs
    sexagesimal, degrees = page.locator(".position").all_inner_texts()
    near = {"rtol": 0, "atol": 3e-6}
    for text, unit in ((sexagesimal, (u.hourangle, u.deg)), (degrees, u.deg)):
        told = SkyCoord(text, unit=unit)
        np.testing.assert_allclose(told.ra.deg, expected.ra.deg, **near)
        np.testing.assert_allclose(told.dec.deg, expected.dec.deg, **near)
    page.click(".sky button >> nth=1")
    page.wait_for_selector("#saving[data-state=copied]")
    page.locator(".note").focus()
    page.keyboard.press("Control+v")
    assert page.locator(".note").input_value() == degrees


@pytest.mark.parametrize(
    ("ra", "dec", "expected"),
    [
        (0.0, 0.0, "00:00:00.000 +00:00:00.00"),
        (359.99999999, -0.0000001, "00:00:00.000 -00:00:00.00"),
        (24.17408, 15.783194, "01:36:41.779 +15:46:59.50"),
        (150.0, -89.9999999, "10:00:00.000 -90:00:00.00"),
    ],
)
def test_sexagesimal_positions(page, server, ra, dec, expected):
    _open(page, server.url)
    call = "import('/static/sky.js').then((sky) => sky.sexagesimalPosition(%r, %r))"
    assert page.evaluate(call % (ra, dec)) == expected


def test_agreement_is_linked(page, server):
    for name in ("anna", "ben"):
        for row in range(4):
            server.store.add(row, reviewer=name, label=1 + row)
    _open(page, server.url)
    page.click("text=Agreement")
    page.wait_for_selector(".matrix")
    assert "Fleiss' kappa of all reviewers: 1.00" in page.inner_text(".kappa")
    assert page.locator(".matrix .shade-10").count() == 4
    page.click("text=Back to the review")
    page.wait_for_selector("html[data-ready]")
