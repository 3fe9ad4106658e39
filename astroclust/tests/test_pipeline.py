# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""From images to a folder of results."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from PIL import Image
from regions import Regions

from astroclust import ImageSet, run_field, simulate_field
from astroclust.cli import main
from astroclust.cli.plot import _surest
from astroclust.locks import only_process
from astroclust.pipeline import FILES, STAGES, class_counts
from astroclust.selection import PRESETS
from astroclust.stamps import StampFlag


@pytest.fixture(scope="module")
def images():
    return simulate_field(shape=(220, 220), seed=4, density=1e-3).images


def run(images, folder, **options):
    """A run whose warnings of stamps over the edge do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        return run_field(images, folder, **{"distance": 10} | options)


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "ngc1"
    run(images, folder)
    return folder


def test_all_files_are_of_the_same_candidates(folder):
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == set(FILES)
    result = Table.read(folder / "classified.ecsv")
    sources = Table.read(folder / "sources.ecsv")
    assert 0 < len(result) == np.sum(sources["cuts"] == 0) < len(sources)
    assert len(fits.getdata(folder / "classified.fits")) == len(result)
    assert len(Regions.read(folder / "candidates.reg")) == len(result)
    assert class_counts(result)["candidates"].sum() == len(result)
    # neighbors are evidence
    assert set(result["evidence"] & 16) == {16}
    for name in ("field.png", "gallery.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_says_what_was_done(folder):
    page = (folder / "summary.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    for words in ("<title>ngc1</title>", "CONCENTRATION_INDEX", "symmetric cluster", "MNRAS 493"):
        assert words in page
    assert page.count("data:image/png;base64,") == 2
    assert "rows have flags (EDGE" in page  # a warning
    assert "agrees with people on" in page


def test_a_run_resumes_with_what_is_done(images, folder, tmp_path, monkeypatch):
    for name in (*STAGES, "run.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr("astroclust.pipeline.find_candidates", None)  # not called
    monkeypatch.setattr("astroclust.pipeline.classify_table", None)
    result = run(images, tmp_path)
    assert len(result) == len(Table.read(folder / "classified.ecsv"))
    # with the warnings of the first run
    assert "rows have flags" in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_a_run_that_was_interrupted(images, folder, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("astroclust.pipeline.classify_table", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(images, tmp_path)
    assert (tmp_path / "sources.ecsv").exists()
    assert not (tmp_path / "classified.ecsv").exists()
    first = (tmp_path / "sources.ecsv").stat().st_mtime_ns
    result = run(images, tmp_path)
    assert (tmp_path / "sources.ecsv").stat().st_mtime_ns == first
    assert result["class"].tolist() == Table.read(folder / "classified.ecsv")["class"].tolist()


@pytest.mark.parametrize("changed", ["distance", "threshold", "images"])
def test_a_folder_of_another_run_is_refused(images, folder, changed):
    options, given = {"distance": 11} if changed == "distance" else {}, images
    if changed == "threshold":
        options["preset"] = replace(PRESETS["legus"], threshold=30)
    if changed == "images":
        given = {name: images[name] for name in ("F555W", "F814W")}
    before = (folder / "classified.ecsv").read_bytes()
    with pytest.raises(ValueError, match=f"with different settings.*{changed}") as error:
        run(given, folder, **options)
    if changed == "images":
        assert "images F336W: given -> none" in str(error.value)
        assert "images F555W" not in str(error.value)  # which is the same
    assert "choose another folder, or overwrite this one" in str(error.value)
    assert (folder / "classified.ecsv").read_bytes() == before


def test_a_folder_is_overwritten_if_it_is_said(images, folder, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "notes.txt").write_text("mine")
    preset = replace(PRESETS["legus"], threshold=60)
    fewer = run(images, tmp_path, preset=preset, overwrite=True)
    assert len(fewer) < len(Table.read(folder / "classified.ecsv"))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_warnings_that_are_errors_lose_no_table(images, tmp_path):
    with pytest.raises(AstropyUserWarning, match="rows have flags"):
        run_field(images, tmp_path, distance=10)
    assert (tmp_path / "classified.ecsv").exists()
    run_field(images, tmp_path, distance=10)
    assert "rows have flags" in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_a_run_that_fails_loses_nothing_of_what_it_would_overwrite(images, folder, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ValueError, match="distance must be positive"):
        run(images, tmp_path, distance=-10, overwrite=True)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    run(images, tmp_path)  # as before


def test_a_run_that_is_stopped_while_it_overwrites_does_not_mix_tables(
    images, folder, tmp_path, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    options = {"preset": replace(PRESETS["legus"], threshold=60)}
    with monkeypatch.context() as context:
        context.setattr("astroclust.pipeline.classify_table", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(images, tmp_path, overwrite=True, **options)
    assert not (tmp_path / "classified.ecsv").exists()
    result = run(images, tmp_path, **options)  # resumes
    sources = Table.read(tmp_path / "sources.ecsv")
    assert len(result) == np.sum(sources["cuts"] == 0)


def test_a_damaged_log(images, folder, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(OSError, match=r"cannot read .*run.json.*overwrite=True, --overwrite"):
        run(images, tmp_path)
    run(images, tmp_path, overwrite=True)


def test_files_of_others_are_not_touched(images, tmp_path):
    (tmp_path / "summary.html").write_text("mine")
    with pytest.raises(
        FileExistsError, match=r"has summary.html, which are not from a run; choose"
    ):
        run(images, tmp_path)
    assert [path.name for path in tmp_path.glob("[a-z]*")] == ["summary.html"]
    run(images, tmp_path, overwrite=True)
    (tmp_path / "run.json").unlink()
    with pytest.raises(
        FileExistsError, match=r"has sources.ecsv, classified.ecsv, .* not from a run"
    ):
        run(images, tmp_path)


def test_a_run_that_failed_before_its_first_table_does_not_count(images, tmp_path):
    with pytest.raises(ValueError, match="distance must be positive"):
        run_field(images, tmp_path, distance=-10)
    run(images, tmp_path)


def test_a_corrected_header_is_another_run(images, tmp_path):
    images.write(tmp_path / "field.fits")
    run(ImageSet.read(tmp_path / "field.fits"), tmp_path / "out")
    for number, (key, value, word) in enumerate(
        [("CRVAL1", 30.0, "sky"), ("EXPTIME", 7.0, "images F555W header EXPTIME")]
    ):
        path = tmp_path / f"{number}.fits"
        path.write_bytes((tmp_path / "field.fits").read_bytes())
        for name in images if key == "CRVAL1" else ["F555W"]:
            fits.setval(path, key, value=value, ext=(name, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # of the exposure time
            changed = ImageSet.read(path)
        with pytest.raises(ValueError, match=f"with different settings \\({word}: "):
            run(changed, tmp_path / "out")


def test_a_file_in_place_of_the_folder(images, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError, match=r"cannot create the folder .*: it is a file; choose"):
        run(images, tmp_path / "out")


def test_two_runs_in_one_folder(images, tmp_path):
    with only_process(tmp_path), pytest.raises(OSError, match="another astroclust process"):
        run(images, tmp_path)


def test_pictures_have_no_magnitudes_but_classes(images, tmp_path):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :200]
    picture = rng.normal(20, 2, (200, 200))
    for _ in range(12):
        x0, y0 = rng.uniform(30, 170, 2)
        picture += 150 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / 3**2)
    rgb = np.clip(np.repeat(picture[:, :, None], 3, axis=2), 0, 255).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "galaxy.png")
    pictured = ImageSet.from_picture(tmp_path / "galaxy.png", affine=[[1, 0, 0], [0, -1, 199]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        result = run_field(pictured, tmp_path / "out")
    assert len(result) > 0
    assert not np.ma.getmaskarray(result["class"]).all()
    assert "magnitudes are masked" in (tmp_path / "out" / "summary.html").read_text(
        encoding="utf-8"
    )


def test_run_on_the_command_line(images, tmp_path, capsys):
    images.write(tmp_path / "field.fits")
    command = ["run", "-q", "--image", f"{tmp_path}/field.fits", "--workers", "1"]
    command += ["--distance", "10", "-o", f"{tmp_path}/out"]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["candidates"] == len(Table.read(tmp_path / "out" / "classified.fits"))
    assert sum(row["candidates"] for row in said["classes"]) == said["candidates"]
    assert main(command) == 0
    assert "reused sources.ecsv and classified.ecsv from an earlier run" in capsys.readouterr().out
    assert main([*command, "--min-ci", "1.5"]) == 1
    assert "has a run with different settings (cuts" in capsys.readouterr().err
    assert main([*command, "--min-ci", "1.5", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("figure", "shows_images"),
    [
        ("field", True),
        ("gallery", True),
        ("examples", True),
        ("reduced", True),
        ("map", False),
        ("color-magnitude", False),
        ("color-color", False),
        ("luminosity-function", False),
    ],
)
def test_figures_on_the_command_line(images, folder, tmp_path, capsys, figure, shows_images):
    images.write(tmp_path / "field.fits")
    command = ["plot", figure, str(folder / "classified.ecsv"), "-o", f"{tmp_path}/figure.png"]
    given = ["--image", f"{tmp_path}/field.fits"]
    assert main(command + given * (not shows_images)) == 1
    assert "omit --image" in (said := capsys.readouterr().err) or "add --image" in said
    assert main(command + given * shows_images) == 0
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_reduced_inputs_of_complete_stamps():
    probability, flags = [0.9, 0.8, 0.7, 0.6, 0.9], [StampFlag.EDGE, 0, 0, StampFlag.EDGE, 0]
    table = Table({"class": [1, 1, 1, 2, 4], "probability": probability, "flags": flags})
    avoid = StampFlag.EDGE | StampFlag.NON_FINITE
    assert _surest(table, "", avoid=avoid) == [1, 3, 4]
    assert _surest(table["class", "probability"], "", avoid=avoid) == [0, 3, 4]


def test_figures_that_cannot_be_drawn(folder, tmp_path, capsys):
    table = Table.read(folder / "classified.ecsv")
    table["x", "y", "class"].write(tmp_path / "plain.ecsv")
    command = ["plot", "color-magnitude", f"{tmp_path}/plain.ecsv", "-o"]
    assert main([*command, f"{tmp_path}/figure.png"]) == 1
    assert "the table has no magnitudes in V, I" in capsys.readouterr().err
    command[2] = str(folder / "classified.ecsv")
    assert main([*command, f"{tmp_path}/figure.xyz"]) == 1
    assert "figure.xyz" in capsys.readouterr().err
    assert not list(tmp_path.glob("figure*"))


def test_remedies_of_plots(images, folder, tmp_path, capsys):
    images.write(tmp_path / "field.fits")
    table, output = str(folder / "classified.ecsv"), ["-o", f"{tmp_path}/f.png"]
    field, classified = ["--image", f"{tmp_path}/field.fits"], Table.read(table)
    classified["x", "y", "class"].write(tmp_path / "plain.ecsv")
    classified["class"] = 0
    classified.write(tmp_path / "none.ecsv")
    for words, message in (
        (["field", "--image", f"{tmp_path}/field.fits", table], "put it before --image"),
        (["map"], "no table is given: name its file"),
        (["completeness", table], "no column radius; use the output of astroclust completeness"),
        (["map", table, "--model", "simulated-3"], "map does not use a classifier; omit --model"),
        (["luminosity-function", str(folder / "sources.ecsv")], "has no column class: classify it"),
        (["reduced", f"{tmp_path}/plain.ecsv", *field], "the table has no column probability"),
        (["gallery", f"{tmp_path}/plain.ecsv", *field], "the table has no column probability"),
        (["reduced", f"{tmp_path}/none.ecsv", *field], "no object in the table has a class"),
    ):
        assert main(["plot", *words, *output]) == 1
        assert message in capsys.readouterr().err
    assert main(["plot", "field", table, "--image", f"{tmp_path}/field.fits", *output]) == 0
    assert main(["plot", "map", table, "-o", f"{tmp_path}/f"]) == 1
    assert "f has no file extension; use .png, .pdf or .svg" in capsys.readouterr().err


def test_a_table_after_its_images(images, folder, tmp_path, capsys):
    images.write(tmp_path / "field.fits")
    table, image = str(folder / "sources.ecsv"), f"{tmp_path}/field.fits"
    for command in (["classify", "-o", f"{tmp_path}/c.ecsv"], ["review", "--no-browser"]):
        assert main([*command, "--image", image, table]) == 1
        assert "no table is given: put it before --image" in capsys.readouterr().err
