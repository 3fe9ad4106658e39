# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""All names of ``astroclust``, used as in a script: checked by ``mypy --strict``, and never run."""

from pathlib import Path
from typing import assert_type

import numpy as np
from astropy import units as u
from astropy.table import Table

import astroclust
from astroclust import (
    ImageSet,
    Stamps,
    class_scores,
    classify_fields,
    classify_table,
    completeness,
    decode_flags,
    extract_spectra,
    fetch_legus,
    fetch_phangs,
    find_candidates,
    find_field,
    find_sources,
    load_classifier,
    make_stamps,
    measure_photometry,
    read_legus,
    read_phangs,
    read_regions,
    regions_mask,
    review_table,
    run_field,
    save_classifier,
    simulate_field,
    simulate_stamps,
    synthetic_magnitudes,
    to_regions,
    train_classifier,
    white_light,
    write_legus,
)
from astroclust.classification import Tasks
from astroclust.images import Band
from astroclust.injection import ArtificialClusters
from astroclust.photometry import Apertures
from astroclust.review import Page
from astroclust.selection import PRESETS, Cut
from astroclust.training import Recipe, Sample
from astroclust.typing import ImagesLike
from astroclust.weights import Classifier, ModelCard


def open_images(images: ImagesLike) -> ImageSet:
    given = ImageSet.of(images)
    assert_type(given["V"], Band)
    assert_type(given.filters, tuple[str, ...])
    assert_type([band.file for band in given.values()], list[str])
    given.write("field.fits", overwrite=True)
    ImageSet.from_picture("field.png", affine=[[1, 0, 0], [0, 1, 0]], shape=(50, 60))
    return ImageSet.read("field.fits", system=given.system)


def use_archives() -> None:
    legus = fetch_legus("ngc1566", what="catalog", folder=Path("archive"))
    phangs = fetch_phangs("ngc1559", what=["catalog", "images"], classes=(1, 2, 3))
    assert_type(legus.images, ImageSet | None)
    assert_type(phangs.files, dict[str, Path])
    assert_type(find_field("ngc1566").distance, float)
    table = read_legus(legus.files["catalog"], field=legus.name)
    write_legus(table, "catalog.tab", overwrite=True)
    read_phangs("phangs.fits", galaxy="ngc1559")


def find(images: ImageSet) -> Table:
    mask = regions_mask("nucleus.reg", images.shape, wcs=images.wcs)
    found = find_candidates(images, distance=10 * u.Mpc, exclude=mask, segmentation=True)
    to_regions(found[0]).write("candidates.reg")
    assert_type(white_light(images), Band)
    sources = find_sources(white_light(images), threshold=10)
    find_sources(images, method="rcnn", workers=2)
    sources = measure_photometry(sources, images, apertures=Apertures(radius=(4, 1)))
    preset = PRESETS["legus"].with_detector(threshold=0.3)
    assert_type(decode_flags(3, kind=Cut), list[str])
    assert_type(decode_flags(np.array([0, 3]), kind=Cut), list[list[str]])
    clusters = ArtificialClusters(magnitudes=[20, 22], radii=[1.0, 2.0] * u.pc)
    completeness(images, clusters, distance=10, preset=preset)
    return find_candidates({"V": "v.fits", "I": np.ones((9, 9))}, preset=preset)


def classify(table: Table, images: ImageSet) -> None:
    classifier = load_classifier()
    result = classify_table(table, images, model=classifier, photometry=False, batch_size=256)
    assert_type(classify_fields("fields.csv", "out", tasks=Tasks(rows=100)), list[Path])
    run_field(images, "out", preset="phangs", model="mine.safetensors")
    class_scores([1, 2], result["class"], merge={2: 1})
    to_regions(result, color="class").write("classes.reg")
    read_regions("classes.reg")
    page = Page(title="mine", blind=True)
    with review_table(result, images, labels="mine.labels.ecsv", page=page) as server:
        assert_type(server.url, str)
        server.stop()


def train(table: Table, images: ImageSet) -> ModelCard:
    field = simulate_field(like="ngc1566", shape=(64, 64), seed=1)
    assert_type(field.images, ImageSet)
    stamps = make_stamps(field.candidates, field.images, bands=["V", "I"])
    assert_type(stamps.bands, tuple[str, ...])
    Stamps(np.zeros((1, 1, 9, 9)), ["F555W"], flags=[0])[:1].write("stamps.fits")
    assert_type(Stamps.read("stamps.fits"), Stamps)
    simulated = simulate_stamps(8, seed=[1, 2], like=["ngc1566", "ngc628-c"])
    sample = Sample(simulated, simulated.table["class"], simulated=True)
    classifier = train_classifier(sample, name="mine", recipe=Recipe(epochs=1))
    assert_type(classifier, Classifier)
    probabilities = classifier.prepared("cpu").probabilities(stamps).mean(axis=0)
    print(classifier.card.notice, probabilities.shape, images.pixel_scale)
    return save_classifier(classifier, "mine.safetensors", overwrite=True)


def use_spectra(table: Table) -> Table:
    from specutils import Spectrum

    spectra = extract_spectra(table, Spectrum.read("cube.fits"), radius=0.4 * u.arcsec)
    return synthetic_magnitudes(spectra, ["F555W", "F814W"], system="ab")


def run_tests() -> int:
    return astroclust.test("-k", "stamps")
