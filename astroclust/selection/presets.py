# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""How each survey went from images to candidates."""

from collections.abc import Mapping
from dataclasses import dataclass

from astroclust.selection.cuts import LEGUS_CUTS, NGC1559_CUTS, PHANGS_CUTS, Cuts

__all__ = ["PRESETS", "Preset", "get_preset"]

# PHANGS-HST (Deger et al. 2022): one aperture correction a galaxy in V, -0.45 to -0.83, here that
# of NGC 1559, and the other bands at fixed distances from it.
_PHANGS_CORRECTION = {"NUV": -0.86, "U": -0.79, "B": -0.70, "V": -0.67, "I": -0.79}


@dataclass(frozen=True)
class Preset:
    """Settings of `find_candidates`; `dataclasses.replace` makes your own of one of `PRESETS`.

    Parameters
    ----------
    detect_in : str
        ``"white"`` for `~astroclust.detection.white_light`, or a filter or role.
    method, threshold, n_pixels : str, float and int
        As `~astroclust.detection.find_sources` takes them.
    center_in : str or None
        Filter or role of the band whose peaks positions are moved to; None to leave them.
    radius, annulus, sky_statistic, errors, zero_points, aperture_correction : optional
        As `~astroclust.photometry.measure_photometry` takes them.
    cuts : `Cuts`
        As `select_candidates` takes them.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from astroclust import find_candidates, simulate_field
    >>> from astroclust.selection import PRESETS
    >>> deeper = replace(PRESETS["legus"], threshold=10)
    >>> deeper.method, deeper.threshold, deeper.cuts.min_ci
    ('segmentation', 10, 1.3)
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> candidates = find_candidates(field.images, preset=deeper)
    """

    detect_in: str = "white"
    method: str = "segmentation"
    threshold: float = 20.0
    n_pixels: int = 10
    center_in: str | None = "V"
    radius: float = 4.0
    annulus: tuple = (7.0, 8.0)
    sky_statistic: str = "mode"
    errors: str = "iraf"
    zero_points: str | Mapping | None = "legus"
    aperture_correction: str | Mapping | None = "ci"
    cuts: Cuts = LEGUS_CUTS


#: LEGUS (Adamo et al. 2017), NGC 1559 as Wei et al. (2020, sec. 3.1) did it, and PHANGS-HST.
PRESETS = {
    "legus": Preset(),
    "ngc1559": Preset(detect_in="V", cuts=NGC1559_CUTS),
    "phangs": Preset(
        detect_in="V",
        method="daofind",
        threshold=5.0,
        annulus=(7.0, 9.0),
        sky_statistic="median",
        zero_points=None,
        aperture_correction=_PHANGS_CORRECTION,
        cuts=PHANGS_CUTS,
    ),
}


def get_preset(preset):
    """Find the settings of a survey by name.

    Parameters
    ----------
    preset : str or `Preset`
        One of `PRESETS`, or your own, which is returned as it is.

    Returns
    -------
    preset : `Preset`
        The settings.

    Raises
    ------
    ValueError
        For an unknown name.

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
