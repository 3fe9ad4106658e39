# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Truth table and WCS of a simulated field."""

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.wcs import WCS

from astroclust.instruments import LEGUS_BANDS
from astroclust.simulation.candidates import total_magnitudes

__all__ = ["field_wcs", "truth_table"]

# Arbitrary sky position of simulated fields, for the WCS: near NGC 628.
_CENTER = (24.174, 15.783)
_TRUTH = {
    "id": np.int32,
    "x": float,
    "y": float,
    "class": np.int16,
    "kind": "U12",
    **{f"mag_{role.lower()}": np.float32 for role in LEGUS_BANDS.roles},
    "radius": np.float32,
    "axis_ratio": np.float32,
    "members": np.int16,
    "log_age": np.float32,
    "log_mass": np.float32,
    "e_bv": np.float32,
}


def field_wcs(shape):
    """WCS of a simulated field: north up, 0.0396 arcsec pixels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = _CENTER
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-LEGUS_BANDS.pixel_scale / 3600, LEGUS_BANDS.pixel_scale / 3600]
    wcs.wcs.cunit = ["deg", "deg"]
    return wcs


def truth_table(candidates, observation, move, wcs):
    """Truth table of candidates; see `~astroclust.simulation.Field`.

    Parameters
    ----------
    candidates : list of `~astroclust.simulation.candidates.Candidate`
        Candidates in the bands and on the pixels of LEGUS.
    observation : `~astroclust.simulation.observations.Observation`
        LEGUS observation.
    move : `~astroclust.simulation.systems.Move`
        Transformation to the pixels of the images.
    wcs : `~astropy.wcs.WCS`
        WCS of the images.

    Returns
    -------
    truth : `~astropy.table.Table`
        One row per candidate.
    """
    rows = []
    for number, candidate in enumerate(candidates, start=1):
        magnitudes = total_magnitudes(candidate.sources, observation.zero_points)
        x, y = move.position(candidate.x, candidate.y)
        row = (number, x, y, candidate.label, candidate.kind, *magnitudes)
        names = list(_TRUTH)[len(row) :]
        # Quantities that stars and artifacts do not have.
        missing = {"members": 0}
        row += tuple(candidate.truth.get(name, missing.get(name, np.nan)) for name in names)
        rows.append(row)
    columns = list(zip(*rows, strict=True)) or [[]] * len(_TRUTH)
    truth = Table(columns, names=list(_TRUTH), dtype=list(_TRUTH.values()))
    sky = wcs.pixel_to_world(truth["x"], truth["y"])
    truth.add_column(np.asarray(sky.ra.deg), name="ra", index=3)
    truth.add_column(np.asarray(sky.dec.deg), name="dec", index=4)
    truth["ra"].unit = truth["dec"].unit = u.deg
    truth["radius"].unit = u.pc
    return truth
