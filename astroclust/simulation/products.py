# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files of simulated fields, in the layout of LEGUS products, with the truth."""

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.catalogs import find_field, format_legus
from astroclust.files import check_output, replace_when_done
from astroclust.instruments import LEGUS_BANDS, find_band_system
from astroclust.simulation.cataloging import field_catalog, field_cuts, template_field
from astroclust.simulation.observations import bands_of
from astroclust.simulation.systems import choose_bands

__all__ = ["FieldFiles", "check_field_output", "write_field"]


@dataclass(frozen=True)
class FieldFiles:
    """Files of a simulated field.

    Parameters
    ----------
    images : dict of str to `~pathlib.Path`
        Images by filter, in the order of the bands.
    catalog : `~pathlib.Path`
        The catalog in the layout of LEGUS; for other band systems, the candidates (ECSV).
    readme : `~pathlib.Path` or None
        Description of the columns of a LEGUS catalog.
    truth : `~pathlib.Path`
        Table of the truth.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.simulation import write_field
    >>> field = simulate_field(like="ngc1566", shape=(100, 100), seed=1, density=2e-3)
    >>> files = write_field(field, "simulated")
    >>> files.catalog.name
    'hlsp_legus_hst_wfc3_ngc1566_multiband_v1_padagb-mwext-avgapcor.tab'
    >>> len(list(files))
    8
    """

    images: dict
    catalog: Path
    readme: Path | None
    truth: Path

    def __iter__(self):
        paths = (*self.images.values(), self.catalog, self.readme, self.truth)
        return iter([path for path in paths if path is not None])


def _files(like, folder, system):
    folder, (filters, cameras) = Path(folder), bands_of(like)
    truth = folder / "truth.ecsv"
    if system == LEGUS_BANDS:
        bands = zip(filters, cameras, strict=True)
        images = {name: folder / like.image_file(name, camera) for name, camera in bands}
        catalog = folder / like.catalog_file
        return FieldFiles(images, catalog, catalog.with_suffix(".readme"), truth)
    bands = choose_bands(system, filters)
    pairs = bands.merge(list(zip(cameras, filters, strict=True)), list(bands.drawn.values()))
    images = {name: folder / f"{like.name}_{camera}_{name}.fits".lower() for camera, name in pairs}
    return FieldFiles(images, folder / "candidates.ecsv", None, truth)


def check_field_output(like, folder, *, system=LEGUS_BANDS, overwrite=False):
    """Check that the files of a field can be written, before drawing it.

    Parameters
    ----------
    like : str
        Name of a LEGUS field.
    folder : str or `~pathlib.Path`
        Output folder; it need not exist, but its parent must.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system of the field.
    overwrite : bool, optional
        Whether to overwrite existing files.

    Returns
    -------
    files : `FieldFiles`
        The files that `write_field` would write.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    OSError
        If a file exists and ``overwrite`` is false, or cannot be written.

    Examples
    --------
    >>> from astroclust.simulation import check_field_output
    >>> check_field_output("ngc628-c", "simulated").catalog.parent.name
    'simulated'
    """
    files, folder = _files(find_field(like), folder, find_band_system(system)), Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"cannot write to {folder}: it is a file; choose a folder")
    for path in files if folder.is_dir() else [folder]:
        check_output(path, overwrite=overwrite)
    return files


def write_field(field, folder, *, overwrite=False, workers=1, progress_bar=False):
    """Write a simulated field in the layout of LEGUS products, with its truth.

    The files are named like those of the LEGUS field that it is modeled on: a mosaic in each band;
    the catalog (``.tab``) with everything that the pipeline finds; its ``.readme``; and
    ``truth.ecsv``. Headers and readme state that the data are simulated. In band systems other than
    that of LEGUS, mosaics have the format of the HST and JWST pipelines, and the candidates
    (``candidates.ecsv``) replace the catalog.

    Parameters
    ----------
    field : `~astroclust.simulation.Field`
        Field drawn by `~astroclust.simulation.simulate_field`.
    folder : str or `~pathlib.Path`
        Output folder; created if it does not exist.
    overwrite : bool, optional
        Whether to overwrite existing files.
    workers : int, optional
        Number of processes for detection.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    files : `FieldFiles`
        The files, which appear once all of them are complete.

    Raises
    ------
    OSError
        If a file exists and ``overwrite`` is false, or cannot be written.
    KeyError
        If the images do not record the field that they are modeled on.

    Examples
    --------
    >>> from astroclust import ImageSet, read_legus, simulate_field
    >>> from astroclust.simulation import write_field
    >>> field = simulate_field(like="ngc1566", shape=(200, 200), seed=1)
    >>> files = write_field(field, "simulated")
    >>> files.images["F555W"].name
    'hlsp_legus_hst_uvis_ngc1566_f555w_v1_drc.fits'
    >>> catalog, images = read_legus(files.catalog), ImageSet.read(files.images)
    """
    like, system = template_field(field), field.images.system
    files = check_field_output(like.name, folder, system=system, overwrite=overwrite)
    origin = _origin(field, like)
    texts = {}
    if system == LEGUS_BANDS:
        catalog = field_catalog(field, like, workers=workers, progress_bar=progress_bar)
        texts = _legus_texts(catalog, files, [*origin, *_comments(like)])
    Path(folder).mkdir(exist_ok=True)
    with ExitStack() as stack:
        partial = {
            path: stack.enter_context(replace_when_done(path, overwrite=overwrite))
            for path in files
        }
        for name, path in files.images.items():
            _hdu(field.images[name], path.name, origin).writeto(partial[path])
        for path, text in texts.items():
            partial[path].write_text(text, encoding="utf-8")
        if not texts:
            field.candidates.write(partial[files.catalog])
        field.truth.write(partial[files.truth])
    return files


def _legus_texts(catalog, files, comments):
    """Catalog and readme of LEGUS, by path."""
    if not len(catalog):
        warnings.warn(
            "no sources are found in the field, so its catalog is empty; draw a larger field",
            AstropyUserWarning,
            stacklevel=3,
        )
    catalog.meta["comments"] = comments
    tab, readme = format_legus(catalog, files.catalog.name)
    return {files.catalog: tab, files.readme: readme}


def _origin(field, like):
    """Lines that state the origin of the files."""
    seed = field.truth.meta.get("SEED")
    seeded = "" if seed is None else f", seed {seed}"
    return [
        f"Simulated by astroclust {astroclust.__version__}: these are not HST data.",
        f"Modeled on the LEGUS field {like.name} ({like.galaxy}){seeded}.",
    ]


def _hdu(band, name, origin):
    """Mosaic in the format of drizzled HST images: in electrons per second, with a CD matrix."""
    header = fits.Header(band.wcs.to_header())
    for key in [key for key in header if key.startswith(("PC", "CDELT"))]:
        del header[key]
    matrix = band.wcs.pixel_scale_matrix
    for i, j in np.ndindex(2, 2):
        header[f"CD{i + 1}_{j + 1}"] = matrix[i, j]
    # Position angle of the y axis, east of north.
    header["ORIENTAT"] = float(np.degrees(np.arctan2(matrix[0, 1], matrix[1, 1])))
    header["BUNIT"] = "ELECTRONS/S"  # unless the header of the band has another
    header.update(band.meta)
    header["FILENAME"] = name
    for line in origin:
        header["HISTORY"] = line
    return fits.PrimaryHDU(band.data, header)


def _comments(like):
    """Comments on the catalog for the readme."""
    cuts = field_cuts(like)
    modulus = Distance(like.distance, u.Mpc).distmod.value
    return [
        f"Distance modulus used {modulus:.2f} mag ({like.distance:g} Mpc).",
        f"Sources have CI>={cuts.min_ci:g} and errors up to {cuts.max_error:g} mag in two "
        "neighboring bands.",
        f"Classified are those with Nflt>={cuts.min_filters} and V<={cuts.max_absolute_v:g} mag, "
        "with the aperture correction by CI.",
        "Classes are from three simulated experts; the true ones are in truth.ecsv.",
        "Age, mass and E(B-V) are true values, not fits, without limits and residuals; Q is 1.",
    ]
