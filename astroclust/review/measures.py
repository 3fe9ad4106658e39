# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measurements of a single object during inspection, similar to IRAF's IMEXAMINE."""

import base64
import io
import threading

import numpy as np
from astropy.table import Table
from PIL import Image

from astroclust.catalogs import float_column
from astroclust.images import ImageSet
from astroclust.photometry import concentration_index, growth_curve, measure_photometry
from astroclust.stamps import make_stamps

__all__ = ["GROWTH_RADII", "Saliency", "measure_objects"]

#: Radii of the curve of growth in pixels (LEGUS: 1 to 20).
GROWTH_RADII = tuple(range(1, 21))

# Sky annulus of profiles, as for the curve of growth.
_SKY = (21.0, 22.0)
_PROFILE_SIZE = 2 * int(_SKY[1]) + 3
_RADII = np.arange(len(GROWTH_RADII)) + 0.5
# Colors of saliency against, neutral and for a class: ends and middle of PuOr.
_AGAINST, _NEUTRAL, _FOR = np.array([[84, 39, 136], [18, 18, 20], [253, 150, 40]], float)


def measure_objects(objects, rows):
    """Measure profile, curve of growth, magnitudes and concentration index of some objects.

    Parameters
    ----------
    objects : `~astroclust.review.objects.Objects`
        All rows.
    rows : sequence of int
        Rows of the objects.

    Returns
    -------
    measured : list of dict
        One dict per row: ``radii`` in pixels of ``profile``, the sky-subtracted mean flux in rings
        of one pixel for each band, normalized to a maximum of 1; ``growth_radii`` of ``growth``,
        magnitudes in each band minus that within 20 pixels; ``magnitudes``, magnitude and error in
        each band, from the table if available, otherwise within 4 pixels without corrections;
        ``measured``, the bands of the latter; ``fwhm`` in pixels of the profile in the
        ``reference`` band; and ``ci`` in that band. Unknown values are None.
    """
    images, rows = objects.images, np.asarray(rows)
    positions = Table({"x": objects.x[rows], "y": objects.y[rows]})
    growth = {band.role: growth_curve(positions, band) for band in images.values()}
    index = concentration_index(positions, images.reference)
    magnitudes, here = _magnitudes(objects, rows, positions)
    data = make_stamps(positions, images, size=_PROFILE_SIZE, bands=images.roles).data
    reference = images.reference.role
    measured = []
    for i in range(len(rows)):
        profiles = _profiles(data[i], positions["x"][i], positions["y"][i])
        profiles = dict(zip(images.roles, profiles, strict=True))
        measured.append(
            {
                "radii": _plain(_RADII),
                "profile": {role: _plain(values) for role, values in profiles.items()},
                "growth_radii": list(GROWTH_RADII),
                "growth": {role: _plain(curve[i]) for role, curve in growth.items()},
                "magnitudes": {role: _plain(pair[i]) for role, pair in magnitudes.items()},
                "measured": here,
                "fwhm": _plain([_half_width(profiles[reference])])[0],
                "ci": _plain([index[i]])[0],
                "reference": reference,
            }
        )
    return measured


def _profiles(data, x, y):
    """Mean flux in rings around the position, for each band of a stamp."""
    # `Cutout2D` puts the first pixel at ceil(x - size / 2).
    yy, xx = np.mgrid[:_PROFILE_SIZE, :_PROFILE_SIZE]
    first_x, first_y = np.ceil(x - _PROFILE_SIZE / 2), np.ceil(y - _PROFILE_SIZE / 2)
    radius = np.hypot(xx + first_x - x, yy + first_y - y)
    ring = np.floor(radius).astype(int)
    for pixels in data:
        good = np.isfinite(pixels)
        sky = pixels[good & (radius >= _SKY[0]) & (radius < _SKY[1])]
        inside = good & (ring < len(_RADII))
        total = np.bincount(ring[inside], pixels[inside], len(_RADII))
        number = np.bincount(ring[inside], minlength=len(_RADII))
        profile = np.full(len(_RADII), np.nan)
        if sky.size:
            np.divide(total, number, out=profile, where=number > 0)
            profile -= np.median(sky)
        highest = np.nanmax(profile) if np.isfinite(profile).any() else 0.0
        yield profile / highest if highest > 0 else np.full(len(_RADII), np.nan)


def _half_width(profile):
    """Full width at half of the innermost ring, NaN if the profile never falls that low."""
    if not profile[0] > 0:
        return np.nan
    below = np.flatnonzero(profile < profile[0] / 2)
    if not below.size:
        return np.nan
    i = below[0]
    inner, outer = profile[i - 1], profile[i]
    fraction = (inner - profile[0] / 2) / (inner - outer)
    return 2 * (_RADII[i - 1] + fraction * (_RADII[i] - _RADII[i - 1]))


def _magnitudes(objects, rows, positions):
    """Magnitudes and errors by band, shape (n, 2), and the bands that were measured here."""
    table, images = objects.table, objects.images
    names = {band.role: band.filter.lower() for band in images.values()}
    here = [
        role
        for role, name in names.items()
        if f"mag_{name}" not in table.colnames and not images[role].is_rendered
    ]
    own = measure_photometry(positions, images, errors="iraf") if here else None
    magnitudes = {}
    for role, name in names.items():
        source = own if role in here else table[rows]
        pair = np.full((len(rows), 2), np.nan)
        for k, column in enumerate((f"mag_{name}", f"mag_err_{name}")):
            if column in source.colnames:
                pair[:, k] = float_column(source, column)
        magnitudes[role] = pair
    return magnitudes, here


def _plain(values):
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]


class Saliency:
    """Saliency maps of objects, computed on request.

    Parameters
    ----------
    objects : `~astroclust.review.objects.Objects`
        All rows.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        As for `~astroclust.classification.classify_table`.
    """

    def __init__(self, objects, *, model=None):
        self.objects, self._model = objects, model
        self._lock = threading.Lock()

    def __call__(self, row):
        """Compute the maps of one object.

        Parameters
        ----------
        row : int
            Row of the object.

        Returns
        -------
        shown : dict
            ``bands``; ``fractions`` of the saliency; ``picture``, the address of a picture of their
            maps side by side, orange for the class and violet against it; and ``class``.

        Raises
        ------
        ModuleNotFoundError
            If Captum is not installed.
        ValueError
            If the row cannot be classified.
        """
        # Torch takes seconds to import, and most pages do not need it.
        from astroclust.attribution import band_importance, saliency
        from astroclust.weights import load_classifier

        with self._lock:  # one at a time, as it uses all cores
            if not hasattr(self._model, "networks"):
                self._model = load_classifier(self._model)
            card = self._model.card
            position = Table({"x": self.objects.x[[row]], "y": self.objects.y[[row]]})
            images = ImageSet.of(self.objects.images, card.system)
            stamps = make_stamps(position, images, size=card.stamp_size, bands=card.bands)
            if not stamps.present.any():
                raise ValueError("this object cannot be classified")
            probabilities = self._model.probabilities(stamps).mean(axis=0)
            asked = int(card.classes.most_probable(probabilities)[0])
            maps = saliency(stamps, self._model, classes=[asked])
        fractions = band_importance(maps, card.bands)[0]
        png = base64.b64encode(_draw_maps(maps[0])).decode()
        return {
            "bands": list(card.bands),
            "fractions": _plain(fractions),
            "picture": f"data:image/png;base64,{png}",
            "class": int(asked),
            "model": card.name,
        }


def _draw_maps(maps):
    """Draw maps of shape (n_bands, size, size) side by side as PNG."""
    scale = np.percentile(np.abs(maps), 99.8) or 1
    strip = np.clip(np.concatenate(list(maps[:, ::-1]), axis=1) / scale, -1, 1)[..., None]
    ends = np.where(strip > 0, _FOR, _AGAINST)
    picture = _NEUTRAL + np.abs(strip) * (ends - _NEUTRAL)
    stream = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()
