# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image

from astroclust import ImageSet, load_classifier, make_stamps, simulate_field
from astroclust.cli import main
from astroclust.training import read_samples, score_sets

AFFINE = {"a_cx": 0.5, "a_cy": 0.0, "t_c": 2.0, "a_rx": 0.0, "a_ry": -0.5, "t_r": 97.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures, a field with images, and labels of all of them in one table."""
    folder = tmp_path_factory.mktemp("list")
    rng = np.random.default_rng(2)
    for name in ("a", "b"):
        rgb = rng.integers(0, 255, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(folder / f"{name}.png")
    field = simulate_field(like="ngc1566", shape=(160, 160), seed=1, density=2e-3)
    field.images.write(folder / "images.fits")
    tables = []
    for name in ("ngc628-c", "ngc628-e", "m83"):
        x, y = rng.uniform(30, 170, (2, 24))
        tables.append(Table({"field": [name] * 24, "x": x, "y": y}))
    truth = Table({"field": ["ngc1566"] * len(field.truth), **dict(field.truth["x", "y"].items())})
    labels = Table(
        {
            key: np.concatenate([np.asarray(one[key]) for one in (*tables, truth)])
            for key in ("field", "x", "y")
        }
    )
    labels["class_human"] = np.resize([1, 2, 3, 4, 0], len(labels))
    labels.write(folder / "labels.ecsv")
    return folder


def rows_of(**columns):
    n = len(columns["field"])
    return Table({key: np.resize(value, n).astype(str) for key, value in columns.items()})


@pytest.fixture
def pictures():
    """As the lists of pictures are, with another name for a column."""
    return rows_of(
        field=["ngc628-c", "m83"],
        file=["a.png", "b.png"],
        scale="0.08",
        credit=["ESA/Hubble", "NASA"],
        labels="labels.ecsv",
        **{name: str(value) for name, value in AFFINE.items()},
    )


def written(folder, table, name="samples.ecsv"):
    table.write(folder / name, overwrite=True)
    return folder / name


def test_a_list_of_pictures(folder, pictures):
    samples = read_samples(written(folder, pictures))
    assert [one.name for one in samples] == ["ngc628-c", "m83"]
    assert [one.galaxy for one in samples] == ["NGC 628", "m83"]
    assert [one.augmentation for one in samples] == ["pictures", "pictures"]
    assert samples[0].description == (
        "stamps with class_human of labels.ecsv (ngc628-c) in F438W, F555W, F814W of the picture "
        "a.png (credit: ESA/Hubble)"
    )
    table = Table.read(folder / "labels.ecsv")
    table = table[(table["field"] == "ngc628-c") & (table["class_human"] > 0)]
    images = ImageSet.from_picture(folder / "a.png", affine=list(AFFINE.values()))
    stamps = make_stamps(table, images, size=samples[0].stamps.size)
    assert samples[0].stamps.size == 72
    assert samples[0].size == 50
    np.testing.assert_array_equal(samples[0].stamps.data, stamps.data)
    np.testing.assert_array_equal(samples[0].labels, table["class_human"])


def test_images_and_simulated_stamps(folder):
    table = rows_of(
        field=["ngc1566", "more"],
        galaxy=["", "x"],
        weight=["2", "0.5"],
        labels=["labels.ecsv", ""],
        F555W=["images.fits[F555W]", ""],
        i=["images.fits[F814W]", ""],
        n=["", "9"],
        seed=["", "4"],
        augmentation=["turns", ""],
    )
    start = load_classifier()
    first, second = read_samples(written(folder, table), classifier=start)
    assert (first.galaxy, first.weight, first.augmentation) == ("NGC 1566", 2.0, "turns")
    assert first.stamps.bands == second.stamps.bands == start.card.bands
    assert first.stamps.present.any(axis=0).tolist() == [False, False, False, True, True]
    assert (second.galaxy, second.weight, len(second.stamps)) == ("", 0.5, 9)
    assert second.simulated
    assert "seed [4, 0]" in second.description
    tests = score_sets([first, second])
    assert [len(one.stamps) for one in tests] == [0, 9]
    assert len(tests[0].test_stamps) == len(first.stamps)


def test_a_picture_with_coordinates(folder, tmp_path):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [24.17, 15.78]
    wcs.wcs.cdelt, wcs.wcs.crpix = [-2.2e-5, -2.2e-5], [60, 50]
    header = wcs.to_header()
    fits.PrimaryHDU(header=header).writeto(folder / "header.fits", overwrite=True)
    header.totextfile(folder / "header.txt", overwrite=True)
    sky = wcs.pixel_to_world([40.0, 70.0], [45.0, 60.0])
    labels = Table({"ra": sky.ra, "dec": sky.dec, "class": [1, 4], "x": [7.0, 8.0], "y": [0, 0.0]})
    labels.write(folder / "sky.ecsv", overwrite=True)
    table = rows_of(
        field=["a", "b"],
        picture="a.png",
        labels="sky.ecsv",
        label_column="class",
        filters="F814W - F435W",
        wcs=["header.fits", "header.txt"],
    )
    first, second = read_samples(written(folder, table))
    np.testing.assert_array_equal(first.stamps.data, second.stamps.data)
    assert first.labels.tolist() == [1, 4]
    images = ImageSet.from_picture(folder / "a.png", ("F814W", None, "F435W"), wcs=wcs)
    stamps = make_stamps(Table({"sky": sky}), images, size=72)
    np.testing.assert_array_equal(first.stamps.data, stamps.data)


def test_roles_of_other_filters(folder, pictures):
    pictures["filters"] = "F657N F555W F438W"
    pictures["roles"] = "F657N=I"
    assert read_samples(written(folder, pictures))[0].stamps.filters[-1] == "F657N"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "photo"}, r"row 1 \(ngc628-c\), column kind: 'photo' is not one of images, pic"),
        ({"field": ""}, "row 1, column field: empty; enter"),
        ({"labels": ""}, r"row 1 \(ngc628-c\), column labels: empty, but required for samples of"),
        ({"labels": "none.ecsv"}, r"row 1 \(ngc628-c\): .*none\.ecsv does not exist"),
        ({"field": "ngc45"}, r"row 1 \(ngc45\), column labels: .*no row of field ngc45"),
        ({"file": ""}, "column picture: empty, but required for samples of kind picture"),
        ({"file": "none.png"}, r"row 1 \(ngc628-c\): .*none\.png does not exist"),
        ({"file": "labels.ecsv"}, r"row 1 \(ngc628-c\): .*labels\.ecsv is not a picture"),
        ({"weight": "-1"}, r"row 1 \(ngc628-c\), column weight: -1 is not a positive"),
        ({"weight": "much"}, r"row 1 \(ngc628-c\), column weight: 'much' is not a number"),
        ({"augmentation": "mixup"}, "column augmentation: 'mixup' is not one of observations"),
        ({"filters": "F814W"}, "column filters: 'F814W' is not three names"),
        ({"filters": "F814W F555W F999W"}, r"row 1 .*'F999W' has no known role"),
        ({"t_c": ""}, r"column t_c: '' is not a number"),
        ({"t_c": "90000"}, r"row 1 \(ngc628-c\): the grid .* lies outside a\.png"),
        ({"wcs": "header.fits"}, "column wcs: set in addition to the affine transformation; use"),
        (dict.fromkeys(AFFINE, ""), "column wcs: neither this column nor the affine"),
        ({"n": "5"}, "column n: '5' is not used by samples of kind picture; remove it"),
        ({"F555W": "images.fits"}, "column F555W: 'images.fits' is not used by samples of kind"),
        ({"color": "red"}, "has a column color, which is neither a filter of band system legus"),
        ({"label_column": "label"}, r"row 1 \(ngc628-c\): .* has no column label"),
        ({"kind": "simulated", "file": ""}, "is not used by samples of kind simulated; remove"),
    ],
)
def test_what_is_wrong_with_a_row(folder, pictures, changes, message):
    for name, text in changes.items():
        values = list(pictures[name]) if name in pictures.colnames else ["", ""]
        pictures[name] = [text, values[1]]
    with pytest.raises((ValueError, OSError, KeyError), match=message):
        read_samples(written(folder, pictures))


def test_lists_that_are_wrong(folder, pictures):
    with pytest.raises(ValueError, match="no rows"):
        read_samples(pictures[:0])
    pictures.remove_column("field")
    with pytest.raises(KeyError, match="no column 'field'"):
        read_samples(pictures)
    for n, message in (("0", "column n: 0 is not"), ("many", "column n: 'many' is not a whole")):
        with pytest.raises(ValueError, match=message):
            read_samples(rows_of(field=["s"], n=n))
    with pytest.raises(ValueError, match=r"samples, row 1 \(ngc1566\) has no image"):
        read_samples(rows_of(field=["ngc1566"], labels="labels.ecsv"))


def run(capsys, *words):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        status = main([*map(str, words), "--quiet"])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_line(folder, tmp_path, capsys):
    table = rows_of(
        field=["ngc628-c", "ngc628-e", "m83", "more"],
        picture=["a.png", "b.png", "b.png", ""],
        labels=["labels.ecsv"] * 3 + [""],
        n=["", "", "", "8"],
    )
    for name, value in AFFINE.items():
        table[name] = [str(value)] * 3 + [""]
    path, model = written(folder, table), tmp_path / "mine.safetensors"
    words = ["train", "--sample", path, "--hold-out", "M83", "--from", "simulated-3", "--epochs", 1]
    status, out, err = run(capsys, *words, "-o", model)
    assert status == 0, err
    assert "ngc628-c: 20 stamps with class_human of labels.ecsv (ngc628-c)" in out
    assert "m83: n 19, accuracy 0." in out
    card = load_classifier(model).card
    assert card.galaxies == ("NGC 628",)
    assert list(card.galaxy_scores) == ["simulated", "m83"] or list(card.galaxy_scores) == [
        "m83",
        "simulated",
    ]
    assert "--hold-out M83" in card.command
    assert f"--sample {path}" in card.score_command
    status, out, err = run(capsys, "score", "--sample", path, "--model", model, "--json")
    assert status == 0, err
    scores = json.loads(out)["galaxies"]
    assert list(scores) == ["NGC 628", "m83", "simulated", "all"]
    assert scores["m83"] == card.galaxy_scores["m83"]
    status, out, _ = run(capsys, "score", "--sample", path, "--model", model, "--hold-out", "m83")
    assert status == 0
    (line,) = [line for line in out.splitlines() if "mean recall" in line]
    assert line.startswith("m83: n 19, accuracy ")
    assert ", AUC of 1+2 " in line
    assert ", calibration error " in line
    status, out, _ = run(capsys, "score", "--sample", path, "--model", model)
    assert "NGC 628: n 39" in out.replace("n 40", "n 39")
    assert "(trained on)" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--simulate", 5], "--simulate cannot be combined with --sample"),
        (["--label-column", "c"], "--label-column cannot be combined with --sample"),
        (["--labels", "t.ecsv"], "--labels cannot be combined with --sample; omit"),
        (["--image", "F555W=v.fits"], "--image cannot be combined with --sample"),
        (["--held-out"], "--held-out cannot be combined with --sample"),
        (["--hold-out", "ngc45"], "no sample is of galaxy ngc45; available are NGC 628, m83"),
    ],
)
def test_options_that_contradict_a_list(folder, pictures, capsys, words, message):
    path = written(folder, pictures)
    status, _, err = run(capsys, "score", "--sample", path, *words)
    assert status == 1
    assert message in err


def test_galaxies_are_held_out_of_a_list_only(capsys, tmp_path):
    status, _, err = run(capsys, "score", "--labels", "t.ecsv", "--hold-out", "ngc45")
    assert status == 1
    assert "--hold-out requires --legus or --sample" in err
