# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from astroclust import Stamps, load_classifier, simulate_stamps
from astroclust.instruments import LEGUS_BANDS, ClassScheme, find_class_scheme, meta_of
from astroclust.training import (
    CROWDED,
    TEST_FIELDS,
    Sample,
    hold_out,
    labeled_sample,
    simulated_sample,
    simulated_test_set,
)


def test_a_simulated_sample_is_that_of_the_bundled_classifier():
    sample = simulated_sample(6, n_test=5, seed=3)
    card = load_classifier("simulated-3").card
    of_card = card.training_sample.replace("seed [1, 0]", "seed [3, 0]")
    assert of_card == f"24000 {sample.description}"
    assert sample.split == card.split.replace("3000 ", "5 ").replace("seed [1, 1]", "seed [3, 1]")
    assert sample.simulated
    fields = sample.description.partition("like ")[2].partition(", crowded")[0].split(", ")
    assert not set(fields) & set(TEST_FIELDS)
    drawn = simulate_stamps(6, seed=[3, 0], like=fields, crowded=CROWDED)
    np.testing.assert_array_equal(sample.stamps.data, drawn.data)
    np.testing.assert_array_equal(sample.labels, drawn.table["class"])
    tests = simulate_stamps(5, seed=[3, 1], like=TEST_FIELDS)
    np.testing.assert_array_equal(sample.test_stamps.data, tests.data)
    assert set(tests.table["field"]) <= set(TEST_FIELDS)


def test_simulated_test_sets():
    stamps, labels = simulated_test_set(12, seed=3, labels="experts")
    again, others = simulated_test_set(12, seed=3)
    np.testing.assert_array_equal(stamps.data, again.data)
    assert set(labels) <= {1, 2, 3, 4}
    assert (labels != others).any()
    assert len(simulated_sample(4, seed=1).test_labels) == 8
    with pytest.raises(ValueError, match="labels must be one of truth, experts, not 'votes'"):
        simulated_test_set(1, labels="votes")
    with pytest.raises(ValueError, match=r"mine lacks \[3, 4\]; add them to its merges"):
        simulated_sample(4, scheme=ClassScheme("mine", {1: "a", 2: "b"}))


@pytest.fixture
def table():
    """Two candidates that share pixels, one without a class, one apart and one off the image."""
    table = Table({"x": [30.0, 40.0, 80.0, 150.0, 900.0], "y": [30.0, 40.0, 90.0, 120.0, 30.0]})
    table["class"] = MaskedColumn([1, 4, 2, 3, 1], mask=[0, 0, 1, 0, 0])
    return table


def test_labeled_rows_become_a_sample(table, field):
    sample = labeled_sample(table, field.images, name="mine.fits")
    assert sample.labels.tolist() == [1, 4, 3]
    assert sample.groups[0] == sample.groups[1] != sample.groups[2]
    assert sample.description.startswith("stamps with class of mine.fits in F275W, ")
    assert (sample.stamps.size, sample.stamps.bands) == (50, LEGUS_BANDS.roles)
    assert not sample.simulated
    table["class_human"] = [0, 2, 1, 8, 4]
    image = {"F555W": np.array(field.images["F555W"].data)}
    sample = labeled_sample(table, image)
    assert sample.labels.tolist() == [2, 1]
    assert labeled_sample(table, image, column="class").labels.tolist() == [1, 4, 3]
    sample = labeled_sample(table, image, classifier=load_classifier())
    assert sample.stamps.bands == load_classifier().card.bands


def test_tables_without_classes(table, field):
    with pytest.raises(KeyError, match="mine has no column votes with classes"):
        labeled_sample(table, field.images, column="votes", name="mine")
    with pytest.raises(
        ValueError, match=r"no row of the table has one of the classes \[1, 2, 3, 4\] in x"
    ):
        labeled_sample(table, field.images, column="x")
    table.remove_column("class")
    with pytest.raises(KeyError, match="no column class_human or class_mode or label or class"):
        labeled_sample(table, field.images)


def _sample(n, groups=None):
    stamps = Stamps(np.random.default_rng(0).normal(size=(n, 5, 8, 8)), LEGUS_BANDS.roles)
    return Sample(stamps, np.tile([1, 4], n)[:n], groups, description="noise")


def test_a_test_set_is_held_out():
    sample = _sample(10)
    divided = hold_out(sample, fraction=0.3, seed=2)
    assert (len(divided.stamps), len(divided.test_stamps)) == (7, 3)
    assert divided.split == "3 other rows, at random"
    assert (divided.description, divided.groups) == ("noise", None)
    everything = np.concatenate([divided.stamps.data, divided.test_stamps.data])
    assert sorted(everything[:, 0, 0, 0]) == sorted(sample.stamps.data[:, 0, 0, 0])
    groups = np.arange(10) // 5
    divided = hold_out(_sample(10, groups), fraction=0.5)
    assert len(set(divided.groups.tolist())) == 1
    assert divided.split == "5 other rows, which share no pixel with the training set"


def test_what_cannot_be_divided():
    with pytest.raises(ValueError, match=r"of 4 labeled rows overlap too much for 20% .* apart"):
        hold_out(_sample(4, groups=[0, 0, 0, 0]))
    hold_out(_sample(10, groups=[0, 0, 0, 0, 1, 2, 3, 4, 5, 6]))  # as the message says


def test_labels_of_fewer_classes_are_not_those_of_a_classifier(table, field):
    table.meta.update(meta_of(find_class_scheme("cluster")))
    with pytest.raises(ValueError, match=r"of cluster, which has fewer classes than legus of"):
        labeled_sample(table, field.images, classifier=load_classifier())
    sample = labeled_sample(table, field.images, classifier=load_classifier(), scheme="legus")
    assert sample.scheme.name == "legus"


def test_samples_have_a_label_per_stamp():
    stamps = Stamps(np.zeros((4, 1, 8, 8)), ["F555W"])
    with pytest.raises(ValueError, match="there are 3 labels for 4 stamps; pass one per stamp"):
        Sample(stamps, [1, 1, 4])
    with pytest.raises(ValueError, match="there are 0 labels for 4 stamps; pass one per stamp"):
        Sample(stamps, [1, 1, 4, 4], test_stamps=stamps)
    with pytest.raises(KeyError, match="unknown class scheme 'mine'"):
        Sample(stamps, [1, 1, 4, 4], scheme="mine")
