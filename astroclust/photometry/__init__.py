# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Vega aperture photometry, concentration indices and aperture corrections."""

import warnings
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from tqdm import tqdm

from astroclust.catalogs import pixel_positions
from astroclust.images import ImageSet
from astroclust.instruments import camera_of
from astroclust.photometry.apertures import ANNULUS, Apertures, Fluxes, measure_apertures
from astroclust.photometry.calibration import (
    check_bands,
    counts_to_rate,
    electrons_of_unit,
    value_of_band,
    zero_point,
)
from astroclust.photometry.centering import recenter
from astroclust.photometry.ci_cut import CICalibration, calibrate_ci, catalog_ci_cut
from astroclust.photometry.columns import Calibration, Correction, add_fluxes, add_magnitudes
from astroclust.photometry.corrections import (
    average_correction,
    ci_correction,
    ci_correction_error,
)
from astroclust.photometry.curves import (
    CI_RADII,
    concentration_index,
    growth_curve,
    index_of_fluxes,
)
from astroclust.photometry.noise import flux_error, measure_correlation

if TYPE_CHECKING:
    from astroclust.typing import ImagesLike

__all__ = [
    "ANNULUS",
    "CI_RADII",
    "Apertures",
    "CICalibration",
    "Fluxes",
    "average_correction",
    "calibrate_ci",
    "catalog_ci_cut",
    "ci_correction",
    "ci_correction_error",
    "concentration_index",
    "counts_to_rate",
    "growth_curve",
    "measure_apertures",
    "measure_photometry",
    "recenter",
    "value_of_band",
    "zero_point",
]

_APERTURES = Apertures()
# Radii with a correction by concentration index.
_CI_CORRECTED = (4, 5, 6)


def measure_photometry(
    table: Table,
    images: "ImagesLike",
    *,
    apertures: Apertures = _APERTURES,
    errors: str = "correlated",
    zero_points: str | Mapping[str, float] | None = None,
    aperture_correction: str | Mapping[str, float | tuple[float, float]] | None = None,
    extinction: Mapping[str, float] | None = None,
    max_error: float = 1.0,
    workers: int | Executor = 1,
    progress_bar: bool = False,
) -> Table:
    """Measure fluxes and Vega magnitudes in circular apertures in each band.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions; see `~astroclust.catalogs.pixel_positions`. They are the same in all bands;
        `recenter` moves them to the peaks of one band.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    apertures : `Apertures`, optional
        Radii of the apertures and of the sky annulus, and the sky statistic.
    errors : str, optional
        ``"correlated"`` for the noise correlation measured in each image; or ``"iraf"`` for
        independent pixels, the formula of IRAF's ``phot``, which LEGUS used for its selection. On
        drizzled images, it underestimates errors by roughly a half.
    zero_points : str or mapping, optional
        ``"legus"`` for the Vega zero points of LEGUS, or those of the headers if LEGUS has none; or
        a mapping from filters or roles to zero points for 1 e-/s. By default, those of the headers
        (``PHOTFLAM``, ``PHOTPLAM``, ``PHOTZPT``), or those of LEGUS for headers without one. The
        camera is read from the header (``INSTRUME``, ``DETECTOR``); otherwise ACS is assumed for
        F435W and F606W and WFC3/UVIS for the others.
    aperture_correction : str or mapping, optional
        ``"ci"`` for the correction by the concentration index of each band (see `ci_correction`);
        or a mapping from filters or roles to magnitudes, or to pairs of magnitude and error (see
        `average_correction`). By default, none.
    extinction : mapping, optional
        Mapping from filters or roles to the Galactic extinction (mag) that is subtracted.
    max_error : float, optional
        Maximum magnitude error, before that of the aperture correction is added; a source with a
        larger one has an upper limit instead. Infinity keeps the magnitudes of all positive fluxes.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes, or a pool; see `~astroclust.detection.find_sources`. It does not
        affect the result.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table with these columns for each filter, such as F555W:

        - ``flux_f555w``, ``flux_err_f555w``: flux within the aperture, uncorrected, in the unit of
          the image, as stated in the column descriptions; NaN off the image, if pixels in the
          aperture are bad, or if all are exactly 0, as in drizzled images outside the exposures;
        - ``mag_f555w``, ``mag_err_f555w``: corrected Vega magnitude, masked if there is none or its
          error exceeds ``max_error``; the error includes that of the aperture correction;
        - ``flag_f555w``: reason for masking, bits of `~astroclust.catalogs.CatalogFlag`;
        - ``mag_lim_f555w``: 3 sigma upper limit for sources flagged ``UPPER_LIMIT``, with the same
          corrections; masked for all others.

    Raises
    ------
    ValueError
        If the table already has one of these columns, or an argument is invalid.

    Warns
    -----
    AstropyUserWarning
        If the images are a rendered picture, which has no magnitudes.

    Notes
    -----
    Fluxes are in electrons per second, to which `~astroclust.images.ImageSet` converts all images;
    counts are assumed to be electrons. If a unit or an exposure time is unknown, fluxes stay in the
    unit of the image and magnitudes are masked. Errors include photon noise if ``EXPTIME`` is
    known. Uncertainties of `~astropy.nddata.CCDData` or `~astropy.nddata.NDData` replace the sky
    and photon noise in the aperture; the error of the sky level is added.

    If a magnitude would have an error above ``max_error`` (1 mag: a flux that is negative or below
    1.09 times its error), a limit replaces it: the flux, or 0 if negative, plus 3 times its error.
    The WISE catalogs use 2 times the error (Cutri et al. 2012, Explanatory Supplement to the WISE
    All-Sky Data Release, sec. II.2.a). Errors of kind ``"iraf"``, which are too small on drizzled
    images, give limits that are too faint by half a magnitude. With ``aperture_correction="ci"``,
    limits are corrected by the index in the reference band, because the index in a band without a
    detection is noise; without an index in the reference band there is no limit.

    Examples
    --------
    >>> from astroclust import measure_photometry, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> result = measure_photometry(field.truth["x", "y"], field.images)
    >>> result.colnames[2:7]
    ['flux_f275w', 'flux_err_f275w', 'mag_f275w', 'mag_err_f275w', 'flag_f275w']
    """
    images = ImageSet.of(images)
    radii = _check(apertures.radius, errors, aperture_correction, max_error)
    sky = {"annulus": apertures.annulus, "sky_statistic": apertures.sky_statistic}
    for name, values in (
        ("zero_points", zero_points),
        ("aperture_correction", aperture_correction),
        ("extinction", extinction),
    ):
        check_bands(values, images, name)
    _warn_of_pictures(images)
    x, y = pixel_positions(table, images.wcs)
    by_index = isinstance(aperture_correction, str)
    wanted = (*radii, *CI_RADII) if by_index else radii
    bands = list(images.values())
    measured = measure_apertures(
        bands, x, y, wanted, **sky, workers=workers, progress_bar=progress_bar
    )
    indices = {
        band.filter: index_of_fluxes(fluxes.flux[:, -2], fluxes.flux[:, -1]) if by_index else None
        for band, fluxes in zip(bands, measured, strict=True)
    }
    result = table.copy()
    pairs = tqdm(
        zip(bands, measured, strict=True),
        total=len(bands),
        unit="band",
        desc="calibrating",
        disable=not progress_bar,
    )
    for band, fluxes in pairs:
        correlation = measure_correlation(band) if errors == "correlated" else None
        electrons = electrons_of_unit(band)
        error = [
            flux_error(fluxes, k, r, electrons, correlation=correlation, **sky)
            for k, r in enumerate(radii)
        ]
        add_fluxes(result, band, fluxes.flux, error, radii)
        if by_index:
            camera = "acs" if camera_of(band) in ("acs", "hrc", "sbc") else "uvis"
            index, of_reference = indices[band.filter], indices[images.reference.filter]
            correction = Correction.by_index(index, of_reference, camera, int(radii[0]))
        else:
            correction = Correction.given(value_of_band(aperture_correction, band, None))
        calibration = Calibration(
            zero_point(band, value_of_band(zero_points, band, None)),
            u.Quantity(value_of_band(extinction, band, 0.0), u.mag).value,
            correction,
        )
        add_magnitudes(result, band, fluxes.flux[:, 0], error[0], calibration, radii[0], max_error)
    return result


def _warn_of_pictures(images):
    rendered = [band.filter for band in images.values() if band.is_rendered]
    if rendered:
        warnings.warn(
            f"{', '.join(rendered)} are channels of a rendered picture, not proportional to flux, "
            "so magnitudes are masked and fluxes only rank sources within a band; use FITS images",
            AstropyUserWarning,
            stacklevel=3,
        )


def _check(radius, errors, aperture_correction, max_error):
    """Radii of the apertures, after validation of all arguments."""
    radii = np.atleast_1d(np.asarray(radius, float))
    if radii.ndim > 1 or not radii.size or not np.all(radii > 0):
        raise ValueError(f"radius must be a positive number, or several, not {radius!r}")
    if not max_error > 0:
        raise ValueError(f"max_error must be a positive number of magnitudes, not {max_error!r}")
    if errors not in ("correlated", "iraf"):
        raise ValueError(f"errors must be one of correlated, iraf, not {errors!r}")
    if isinstance(aperture_correction, str):
        if aperture_correction != "ci":
            raise ValueError(
                "aperture_correction must be 'ci', a mapping from filters to magnitudes, or "
                f"None, not {aperture_correction!r}"
            )
        if radii[0] not in _CI_CORRECTED:
            raise ValueError(
                "the correction by concentration index requires a radius of 4, 5 or 6 pixels, not "
                f"{radii[0]:g}"
            )
    return radii.tolist()
