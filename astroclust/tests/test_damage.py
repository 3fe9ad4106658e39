# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table

from astroclust import Stamps, load_classifier, simulate_stamps
from astroclust.cli import main
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_damage
from astroclust.stamps import DAMAGE, damage_pixels, damage_stamps
from astroclust.training import Recipe, Sample, score_damage
from astroclust.training.augmentation import damage_some
from astroclust.training.preparation import make_domains


def _lost(kind, fraction, *, n=60, ny=100, nx=120):
    tiles = torch.ones(n, 2, ny, nx)
    damaged = damage_pixels(tiles, np.random.default_rng(1), kind=kind, fraction=fraction)
    assert not tiles.isnan().any()
    lost = damaged.isnan().numpy()
    np.testing.assert_array_equal(lost[:, 0], lost[:, 1])  # bands alike
    return lost[:, 0]


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_the_fraction_is_that_of_the_pixels(kind, fraction):
    assert _lost(kind, fraction).mean() == pytest.approx(fraction, abs=0.02)


def test_lines_are_rows_or_columns():
    lost = _lost("lines", 0.2)
    rows, columns = lost.all(axis=2), lost.all(axis=1)
    for image, own_rows, own_columns in zip(lost, rows, columns, strict=True):
        expected = own_rows[:, None] if own_rows.any() else own_columns[None]
        np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
    assert rows.any(axis=1).any()
    assert columns.any(axis=1).any()


def test_blocks_are_in_one_piece_and_begin_anywhere():
    lost = _lost("blocks", 0.03)
    steps = np.diff(lost.astype(int), axis=2, prepend=0) == 1
    columns = np.nonzero(steps.any(axis=1))[1]
    assert set(columns % 8) == set(range(8))
    inner = lost[:, 20:-20, 20:-20]
    assert inner.sum() > 20 * 64  # many of 64 pixels, not single ones


def test_each_image_has_a_fraction_of_its_own():
    lost = _lost("pixels", [0, 0.5, 1], n=3)
    np.testing.assert_allclose(lost.mean(axis=(1, 2)), [0, 0.5, 1], atol=0.02)


def test_absent_bands_of_stamps_stay_absent():
    data = np.random.default_rng(0).normal(size=(4, 2, 20, 20))
    data[1, 1] = 0
    stamps = Stamps(data, ["F555W", "F814W"])
    damaged = damage_stamps(stamps, np.random.default_rng(1), kind="pixels", fraction=0.3)
    assert not np.isnan(stamps.data).any()
    np.testing.assert_array_equal(damaged.data[1, 1], 0)
    np.testing.assert_array_equal(damaged.present, stamps.present)
    assert damaged.data.dtype == np.float32
    assert np.isnan(damaged.data[0]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "stripes", "fraction": 0.1}, "'stripes'; available are pixels, lines"),
        ({"kind": "lines", "fraction": 1.1}, "must be from 0 to 1"),
        ({"kind": "lines", "fraction": np.nan}, "must be from 0 to 1"),
        ({"kind": "lines", "fraction": [0.1, 0.2]}, "one for each of 3 images"),
    ],
)
def test_damage_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        damage_pixels(torch.zeros(3, 1, 9, 9), np.random.default_rng(1), **options)


def test_training_damages_some_stamps_by_the_kinds_of_the_recipe():
    stamps = Stamps(np.ones((200, 1, 24, 24)), ["F555W"], present=np.ones((200, 1), bool))
    damaged = damage_some(stamps, np.random.default_rng(1), kinds=["pixels", "lines"])
    fraction = np.isnan(damaged.data).mean(axis=(1, 2, 3))
    assert 60 < np.count_nonzero(fraction) < 140
    assert fraction.max() < 0.8


def test_a_recipe_damages_training_but_not_validation():
    stamps = Stamps(np.ones((40, 1, 24, 24)), ["F555W"], present=np.ones((40, 1), bool))
    sample = Sample(stamps, np.full(40, 1))
    recipe = Recipe(augmentation="flips", damage=("lines",))
    for one, is_damaged in ((recipe, True), (replace(recipe, damage=()), False)):
        (training,), (aside,) = make_domains([sample], LEGUS_CLASSES, one, 1)
        drawn, _ = training.take(np.arange(len(training)), np.random.default_rng(1))
        watched, _ = aside.take(slice(None))
        assert np.isnan(drawn.data).any() == is_damaged
        assert not np.isnan(watched.data).any()


@pytest.mark.parametrize("damage", ["lines", ("lines", "stripes")])
def test_recipes_that_cannot_be(damage):
    with pytest.raises(ValueError, match="damage must be a tuple of kinds, such as"):
        Recipe(damage=damage)


def test_scores_are_of_the_same_damage():
    stamps = simulate_stamps(12, seed=1)
    labels = stamps.table["class"]
    options = {"kinds": ["blocks"], "fractions": [0, 1]}
    one, other = (score_damage(load_classifier(), stamps, labels, **options) for _ in range(2))
    assert one.colnames[:3] == ["kind", "fraction", "n"]
    assert one["fraction"].tolist() == [0, 1]
    assert one.values_equal(other)["accuracy"].all()
    assert one.meta["MODEL"] == "legus-pictures-1"
    figure = plot_damage(one, other)
    assert [ax.get_title() for ax in figure.axes] == ["blocks"]
    assert len(figure.axes[0].get_legend().get_texts()) == 2
    with pytest.raises(ValueError, match="no stamps to"):
        score_damage(load_classifier(), stamps[:0], labels[:0])
    with pytest.raises(ValueError, match="unknown damage"):
        score_damage(load_classifier(), stamps, labels, kinds=["stripes"])


def test_figures_without_scores():
    with pytest.raises(ValueError, match="pass tables from score_damage"):
        plot_damage()
    with pytest.raises(ValueError, match="pass tables from score_damage"):
        plot_damage(Table({"kind": [], "fraction": []}))


def test_the_command_scores_damage(capsys):
    command = ["score", "--simulate", "8", "--labels", "truth", "--damage", "--json"]
    assert main(command) == 0
    damage = json.loads(capsys.readouterr().out)["damage"]
    assert {row["kind"] for row in damage} == set(DAMAGE)


def test_the_command_names_kinds_of_damage(tmp_path, capsys):
    command = ["train", "--simulate", "8", "--damage", "stripes", "-o", f"{tmp_path}/a.safetensors"]
    assert main(command) == 1
    assert "such as ('pixels', 'lines', 'blocks')" in capsys.readouterr().err
