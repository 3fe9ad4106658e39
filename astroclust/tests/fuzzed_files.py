# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The kinds of files that users bring: small good ones, and how they are read."""

import bz2
import gzip
import io
import tarfile
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from astroclust import (
    ImageSet,
    Stamps,
    load_classifier,
    read_legus,
    read_phangs,
    read_regions,
    write_legus,
)
from astroclust.archive.bundles import extract_bundle
from astroclust.catalogs import read_table
from astroclust.review import LabelStore
from astroclust.tests.fuzzing import Kind, decode_images

__all__ = ["make_kinds"]

# With pivot wavelengths in angstroms.
_FILTERS = {"F275W": 2710, "F336W": 3355, "F438W": 4326, "F555W": 5308, "F814W": 8034}


def make_kinds(folder):
    """All kinds of files.

    Parameters
    ----------
    folder : `~pathlib.Path`
        For the good files while they are made.

    Returns
    -------
    kinds : list of `Kind`
        Each with its good files.
    """
    folder = Path(folder)
    rng = np.random.default_rng(0)
    images, packed = _images(rng), [_saved(hdus) for hdus in _compressed(rng)]
    plain = [_saved(hdus) for hdus in images]
    gz, bz = ([pack(content) for content in plain] for pack in (_gzip, bz2.compress))
    stated = {"form": "fits", "decode": _decode_one}
    whole = {"has_checksum": True}
    return [
        Kind("image", ".fits", plain, _read_image, **stated),
        Kind("image, then gzip", ".fits.gz", plain, _read_image, pack=_gzip, **stated),
        Kind("image.gz", ".fits.gz", gz, _read_image, **whole),
        Kind("image.bz2", ".bz2", bz, _read_image, **whole),
        Kind("image.fz", ".fits.fz", packed, _read_image, "fits"),
        Kind(
            "image with checksums",
            ".fits",
            [_saved(hdus, checksum=True) for hdus in images],
            _read_image,
            **stated,
            **whole,
        ),
        Kind("several bands", ".fits", [_mef(rng)], _read_mef, "fits", decode=_decode_mef),
        Kind("stamps", ".fits", _stamps(rng, folder), _read_stamps, "fits", **whole),
        *_tables(rng, folder),
        *_models(),
        Kind("labels", ".ecsv", [_labels(folder)], _read_labels, "text"),
        Kind("bundle.tar", ".tar", [_bundle(rng)], _read_bundle),
        Kind("bundle.tar.gz", ".tar.gz", [_gzip(_bundle(rng))], _read_bundle, **whole),
    ]


def _saved(hdus, **options):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(hdus).writeto(file, **options)
    return file.getvalue()


def _gzip(content):
    return gzip.compress(content, 1, mtime=0)


def _header(name="F555W"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [150.0, 2.0], [40.0, 30.0], [-1.1e-5, 1.1e-5]
    header = wcs.to_header()
    header["EXPTIME"], header["PHOTFLAM"], header["BUNIT"] = 1143.0, 1.1e-19, "ELECTRONS/S"
    header["PHOTPLAM"], header["FILTER"] = _FILTERS[name], name
    header["INSTRUME"], header["DETECTOR"] = "WFC3", "UVIS"
    return header


def _images(rng):
    pixels = rng.normal(0.2, 0.1, (36, 44))
    counts = rng.integers(0, 60_000, (36, 44))
    short = fits.PrimaryHDU(counts.astype(np.uint16), _header())
    blank = fits.PrimaryHDU(counts.astype(np.int16) // 9, _header())
    blank.header["BLANK"] = int(blank.data[3, 4])
    blank.header["BSCALE"], blank.header["BZERO"] = 0.5, 3.0
    return [
        [fits.PrimaryHDU(pixels.astype(np.float32), _header())],
        [short],
        [fits.PrimaryHDU(), fits.ImageHDU(pixels, _header(), name="SCI")],
    ]


def _compressed(rng):
    pixels = rng.normal(0.2, 0.1, (36, 44)).astype(np.float32)
    counts = rng.integers(0, 200, (36, 44)).astype(np.int32)
    floats = {"quantize_level": 16.0, "dither_seed": 1}
    each = [
        (pixels, {"compression_type": "RICE_1", "quantize_method": 2, **floats}),
        (pixels, {"compression_type": "GZIP_2", "quantize_level": 0}),
        (pixels, {"compression_type": "HCOMPRESS_1", "tile_shape": (18, 22), **floats}),
        (counts, {"compression_type": "RICE_1"}),
        (counts, {"compression_type": "GZIP_1", "tile_shape": (12, 11)}),
        (counts, {"compression_type": "PLIO_1"}),
        (counts, {"compression_type": "HCOMPRESS_1", "tile_shape": (36, 44)}),
    ]
    return [
        [fits.PrimaryHDU(), fits.CompImageHDU(data, _header(), name="SCI", **options)]
        for data, options in each
    ]


def _mef(rng):
    hdus = [fits.PrimaryHDU()]
    for name in _FILTERS:
        pixels = rng.normal(0.2, 0.1, (20, 24)).astype(np.float32)
        hdus.append(fits.ImageHDU(pixels, _header(name), name=name))
    return _saved(hdus)


def _stamps(rng, folder):
    contents = []
    for n in (4, 1):
        table = Table({"id": np.arange(n), "x": rng.uniform(0, 9, n), "name": ["a"] * n})
        Stamps(rng.normal(size=(n, 5, 12, 12)), _FILTERS, table=table).write(folder / f"{n}.fits")
        contents.append((folder / f"{n}.fits").read_bytes())
    return contents


def _tables(rng, folder):
    table = Table({"id": np.arange(12), "x": rng.uniform(0, 99, 12), "y": rng.uniform(0, 99, 12)})
    table["class"] = np.arange(12, dtype=np.int16) % 4 + 1
    table["name"] = [f"source {i}" for i in range(12)]
    files = {}
    for suffix in (".fits", ".ecsv", ".csv", ".vot", ".txt"):
        options = {".vot": {"format": "votable"}, ".txt": {"format": "ascii.commented_header"}}
        table.write(folder / f"table{suffix}", **options.get(suffix, {}))
        files[suffix] = (folder / f"table{suffix}").read_bytes()
    phangs = Table({"ID_PHANGS_CLUSTER": np.arange(1, 9), "PHANGS_X": rng.uniform(0, 99, 8)})
    phangs["PHANGS_Y"] = phangs["PHANGS_RA"] = phangs["PHANGS_DEC"] = rng.uniform(0, 9, 8)
    phangs["PHANGS_CLUSTER_CLASS_HUMAN"] = np.arange(8, dtype=np.int16) % 4 + 1
    phangs.write(folder / "phangs.fits")
    regions = (
        "# Region file format: DS9 version 4.1\nglobal color=green\nimage\n"
        + "".join(f"circle({10 + i}.5,{20 + i},3) # text={{{i % 4 + 1}}}\n" for i in range(9))
    ).encode()
    return [
        Kind("table.fits", ".fits", [files.pop(".fits")], _read_table, "fits"),
        *(Kind(f"table{s}", s, [content], _read_table, "text") for s, content in files.items()),
        Kind("LEGUS", ".tab", [_legus(rng, folder)], _read_legus, "text"),
        Kind("PHANGS", ".fits", [(folder / "phangs.fits").read_bytes()], _read_phangs, "fits"),
        Kind("regions", ".reg", [regions], _read_regions, "text"),
    ]


def _legus(rng, folder):
    columns = {"id": np.arange(8), "x": rng.uniform(1, 99, 8), "y": rng.uniform(1, 99, 8)}
    columns |= {"ra": rng.uniform(24, 25, 8), "dec": rng.uniform(15, 16, 8)}
    for name in _FILTERS:
        columns |= {f"mag_{name.lower()}": rng.uniform(20, 25, 8)}
        columns |= {f"mag_err_{name.lower()}": rng.uniform(0.01, 0.2, 8)}
    columns |= {"ci": rng.uniform(1.3, 2, 8), "n_filters": np.full(8, 5)}
    write_legus(Table(columns), folder / "legus.tab")
    return (folder / "legus.tab").read_bytes()


def _models():
    data = Path(__file__).parents[1] / "data"
    weights, card = ((data / f"simulated-3{s}").read_bytes() for s in (".safetensors", ".json"))
    beside = {"companion": (".json", card)}
    return [
        Kind("weights", ".safetensors", [weights], _read_model, has_checksum=True, **beside),
        Kind("card", ".json", [card], _read_model, "json", companion=(".safetensors", weights)),
    ]


def _labels(folder):
    x = np.arange(6.0)
    store = LabelStore(folder / "labels.ecsv", x, x)
    for row in range(6):
        store.add(row, reviewer="anna", label=row % 4 + 1, note='two, or "three" peaks')
    return (folder / "labels.ecsv").read_bytes()


def _bundle(rng):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as bundle:
        for name in ("a/one.fits", "a/two.fits", "a/readme.txt"):
            member = tarfile.TarInfo(name)
            member.size = 3000
            bundle.addfile(member, io.BytesIO(rng.bytes(3000)))
    return file.getvalue()


def _decode_one(content):
    images = decode_images(content)
    return {"V": next(iter(images.values()))}


def _decode_mef(content):
    return {name: pixels for name, pixels in decode_images(content).items() if name in _FILTERS}


def _read_image(path):
    images = ImageSet.read({"F555W": path})
    _use_later(images)
    return {"V": np.array(images["V"].data, float)}


def _use_later(images):
    """Ask for what later stages ask for, when the file is closed."""
    repr(images)
    for band in images.values():
        list(band.meta.items())


def _read_mef(path):
    images = ImageSet.read(path)
    _use_later(images)
    return {band.filter: np.array(band.data, float) for band in images.values()}


def _read_stamps(path):
    stamps = Stamps.read(path)
    return {
        "data": stamps.data,
        "present": stamps.present,
        "flags": stamps.flags,
        "bands": np.array([stamps.filters, stamps.bands]),
        **_columns(stamps.table),
    }


def _columns(table):
    return {
        name: np.ma.filled(np.ma.masked_array(table[name], copy=True), None)
        for name in table.colnames
        if table[name].dtype.kind != "O"
    }


def _read_table(path):
    return _columns(read_table(path))


def _read_legus(path):
    return _columns(read_legus(path, filters=tuple(_FILTERS)))


def _read_phangs(path):
    return _columns(read_phangs(path))


def _read_regions(path):
    return _columns(read_regions(path))


def _read_model(path):
    classifier = load_classifier(path.with_suffix(".safetensors"))
    network = classifier.networks[0].state_dict()
    return {
        "card": np.array(repr(classifier.card)),
        **{name: value.numpy() for name, value in network.items()},
    }


def _read_labels(path):
    x = np.arange(6.0)
    return _columns(LabelStore(path, x, x).table())


def _read_bundle(path):
    files = extract_bundle(path, path.parent, r".*\.fits")
    contents = {file.name: np.frombuffer(file.read_bytes(), np.uint8) for file in files}
    for file in files:
        file.unlink()
    return contents
