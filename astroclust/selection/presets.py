# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Detection, photometry and selection settings of surveys."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import find_field
from astroclust.instruments import LEGUS_BANDS
from astroclust.photometry import Apertures
from astroclust.selection.cuts import LEGUS_CUTS, NGC1559_CUTS, PHANGS_CUTS, Cuts

if TYPE_CHECKING:
    from astroclust.detectors import Detector

__all__ = ["PRESETS", "Preset", "field_settings", "get_preset"]

# PHANGS-HST (Deger et al. 2022): one aperture correction in V per galaxy, -0.45 to -0.83, here that
# of NGC 1559; the other bands have fixed offsets from it.
_PHANGS_CORRECTION = {"NUV": -0.86, "U": -0.79, "B": -0.70, "V": -0.67, "I": -0.79}
_LEGUS_APERTURES = Apertures(sky_statistic="mode")


@dataclass(frozen=True)
class Preset:
    """Settings of `find_candidates`; modify one of `PRESETS` with `dataclasses.replace`.

    Parameters
    ----------
    detect_in : str
        Detection image: ``"white"`` for `~astroclust.detection.white_light`, a filter or role, or
        ``"all"`` for the method ``"rcnn"``, which uses all bands at once.
    method, threshold, n_pixels : str, float and int
        See `~astroclust.detection.find_sources`.
    detector : str, `~pathlib.Path`, `~astroclust.detectors.Detector` or None
        Network for the method ``"rcnn"``; None for the bundled one.
    center_in : str or None
        Filter or role of the band on whose peaks positions are recentered; None for no recentering.
    apertures, errors, zero_points, aperture_correction, extinction : optional
        See `~astroclust.photometry.measure_photometry`.
    cuts : `Cuts`
        See `select_candidates`.
    field : str or None
        LEGUS field whose cut and extinction are used, set by `field_settings` and recorded in the
        metadata of the candidates.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from astroclust import find_candidates, simulate_field
    >>> from astroclust.selection import PRESETS
    >>> deeper = replace(PRESETS["legus"], threshold=10)
    >>> deeper.method, deeper.threshold, deeper.cuts.min_ci
    ('sextractor', 10, 1.3)
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> candidates = find_candidates(field.images, preset=deeper, distance=9.9)
    """

    detect_in: str = "white"
    method: str = "sextractor"
    threshold: float = 20.0
    n_pixels: int = 10
    detector: "str | Path | Detector | None" = None
    center_in: str | None = "V"
    apertures: Apertures = _LEGUS_APERTURES
    errors: str = "iraf"
    zero_points: str | Mapping[str, float] | None = "legus"
    aperture_correction: str | Mapping[str, float | tuple[float, float]] | None = "ci"
    extinction: Mapping[str, float] | None = None
    cuts: Cuts = LEGUS_CUTS
    field: str | None = None

    def with_detector(
        self, detector: "str | Path | Detector | None" = None, *, threshold: float = 0.5
    ) -> "Preset":
        """Copy that detects with a network in all bands, with the same photometry and cuts.

        Parameters
        ----------
        detector : str, `~pathlib.Path` or `~astroclust.detectors.Detector`, optional
            The network; by default the bundled one.
        threshold : float, optional
            Minimum probability of being a source.

        Returns
        -------
        preset : `Preset`
            The settings.

        Examples
        --------
        >>> from astroclust.selection import PRESETS
        >>> preset = PRESETS["legus"].with_detector("mine.safetensors", threshold=0.3)
        >>> preset.method, preset.detect_in, preset.threshold
        ('rcnn', 'all', 0.3)
        """
        return replace(self, method="rcnn", detector=detector, detect_in="all", threshold=threshold)


#: LEGUS (Adamo et al. 2017), NGC 1559 (Wei et al. 2020, sec. 3.1), and PHANGS-HST.
PRESETS = {
    "legus": Preset(),
    "ngc1559": Preset(detect_in="V", cuts=NGC1559_CUTS),
    "phangs": Preset(
        detect_in="V",
        method="daofind",
        threshold=5.0,
        apertures=Apertures(annulus=(7.0, 9.0)),
        zero_points=None,
        aperture_correction=_PHANGS_CORRECTION,
        cuts=PHANGS_CUTS,
    ),
}


def get_preset(preset: str | Preset) -> Preset:
    """Look up the settings of a survey by name.

    Parameters
    ----------
    preset : str or `Preset`
        Name in `PRESETS`; a `Preset` is returned unchanged.

    Returns
    -------
    preset : `Preset`
        The settings.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from astroclust.selection import get_preset
    >>> get_preset("legus").detect_in
    'white'
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)} or a Preset, not {preset!r}")
    return PRESETS[preset]


def field_settings(name, *, preset="legus", distance=None, min_ci=None):
    """Settings of `find_candidates` for a LEGUS field.

    Parameters
    ----------
    name : str
        Name of a field; see `~astroclust.catalogs.legus_fields`.
    preset : str or `Preset`, optional
        Settings of the survey.
    distance : float, optional
        Distance in Mpc; by default that of the field.
    min_ci : float, optional
        Cut in concentration index; by default that of the field.

    Returns
    -------
    preset : `Preset`
        The preset with the cut in concentration index and the Galactic extinction of the field.
    distance : float
        Distance in Mpc.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    ValueError
        If the distance of the field is unknown, and none is given.

    Warns
    -----
    AstropyUserWarning
        If the concentration-index cut of the field is unknown and that of the preset is used.

    Examples
    --------
    >>> from astroclust.selection import field_settings
    >>> preset, distance = field_settings("ngc1566")
    >>> preset.cuts.min_ci, preset.extinction["V"], distance
    (1.35, 0.026, 18.0)
    """
    preset, field = get_preset(preset), find_field(name)
    distance = field.distance if distance is None else distance
    if not np.isfinite(distance):
        raise ValueError(f"the distance of {field.name} is unknown; set distance, in Mpc")
    if min_ci is None:
        min_ci = field.ci_cut if np.isfinite(field.ci_cut) else _usual_cut(field, preset)
    extinction = {
        band: value
        for band, value in zip(LEGUS_BANDS.roles, field.extinction, strict=True)
        if np.isfinite(value)
    }
    cuts = replace(preset.cuts, min_ci=min_ci)
    return replace(preset, cuts=cuts, extinction=extinction, field=field.name), distance


def _usual_cut(field, preset):
    """Cut of the preset, for a field without its own."""
    warnings.warn(
        f"the registry has no cut in concentration index for {field.name}: that of the preset, "
        f"{preset.cuts.min_ci:g} mag, is used; set min_ci, such as to the smallest index in its "
        "catalog (astroclust.photometry.catalog_ci_cut)",
        AstropyUserWarning,
        stacklevel=3,
    )
    return preset.cuts.min_ci
