# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Convert scenes drawn in the LEGUS bands to any band system."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from astroclust.instruments import LEGUS_BANDS, BandSystem, find_band_system
from astroclust.simulation.drawing import Ellipse, Source, Stars
from astroclust.simulation.galaxy import COLORS, Galaxy
from astroclust.simulation.observations import Observation, observe_with
from astroclust.simulation.spectra import COOL_FRACTION, line_fraction, line_width, translate
from astroclust.simulation.template import V, relative_magnitudes

__all__ = ["Bands", "Move", "Scene", "choose_bands", "project", "template_shape"]

# Half-light radius of an H II region of 1 Myr in parsecs, and its growth with age (bubbles of
# Weaver et al. 1977).
_REGION_RADIUS, _GROWTH = 6.0, 0.6
# Equivalent width of H-alpha in Angstrom of gas that is visible in V through H-beta and [O III],
# which have about half as many photons as H-alpha.
_GAS_WIDTH = 3000.0


@dataclass(frozen=True, eq=False)
class Scene:
    """All sources of flux in an image, in the bands and on the pixels of LEGUS.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        LEGUS observation.
    galaxy : `~astroclust.simulation.galaxy.Galaxy`
        Galaxy with the unresolved light.
    candidates : sequence of `~astroclust.simulation.candidates.Candidate`
        Candidates with their sources and truth.
    clouds : sequence of list of `~astroclust.simulation.drawing.Source`
        Lists of other extended sources.
    stars : `~astroclust.simulation.drawing.Stars`
        Single stars.
    """

    observation: Observation
    galaxy: Galaxy
    candidates: tuple
    clouds: tuple
    stars: Stars


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of a system, either kept from the LEGUS observation or observed again.

    Parameters
    ----------
    system : `~astroclust.instruments.BandSystem`
        The band system.
    kept : dict of str to int
        Mapping from roles that the LEGUS observation has with a filter of the system, on the same
        pixels, to its bands.
    drawn : dict of str to pair of str
        Mapping from the other roles to camera and filter.
    """

    system: BandSystem
    kept: dict
    drawn: dict

    def observe(self, template, rng):
        """Create the `~astroclust.simulation.observations.Observation` of the drawn bands."""
        return observe_with(list(self.drawn.values()), self.system.pixel_scale, template, rng)

    def move(self, old, new):
        """The `Move` from a LEGUS image to one of the system, with shapes (ny, nx)."""
        return Move(old, new, LEGUS_BANDS.pixel_scale / self.system.pixel_scale)

    def merge(self, template, drawn):
        """Merge values for the LEGUS bands and the drawn bands, in the order of the system."""
        values = {role: template[band] for role, band in self.kept.items()}
        values |= dict(zip(self.drawn, drawn, strict=True))
        return [values[role] for role in self.system.roles]


def choose_bands(system, filters):
    """Choose cameras and filters for the bands of a system.

    Parameters
    ----------
    system : str or `~astroclust.instruments.BandSystem`
        The band system.
    filters : sequence of str
        Filters of the LEGUS observation of a field, in the order of its bands.

    Returns
    -------
    bands : `Bands`
        LEGUS bands are kept if their filter has the same role in the system and the pixel size is
        the same; other roles have their default camera and filter.

    Raises
    ------
    ValueError
        If a role has no default.
    """
    system, kept = find_band_system(system), {}
    if system.pixel_scale == LEGUS_BANDS.pixel_scale:
        roles = enumerate(zip(LEGUS_BANDS.roles, filters, strict=True))
        kept = {role: i for i, (role, name) in roles if system.filters.get(name) == role}
    others = [role for role in system.roles if role not in kept]
    missing = [role for role in others if role not in system.defaults]
    if missing:
        raise ValueError(
            f"band system {system.name} has no default camera and filter for {', '.join(missing)}, "
            "which a simulation needs; set them as its defaults, such as "
            f"{{{missing[0]!r}: ('uvis', 'F657N')}}"
        )
    return Bands(system, kept, {role: system.defaults[role] for role in others})


def template_shape(shape, system):
    """Shape of an image on LEGUS pixels that covers one on the pixels of a system."""
    ratio = system.pixel_scale / LEGUS_BANDS.pixel_scale
    return tuple(int(np.ceil(ratio * size)) for size in shape)


@dataclass(frozen=True)
class Move:
    """Transformation between the pixels of two images with the same center.

    Parameters
    ----------
    old, new : tuple of int
        Shapes, (ny, nx).
    ratio : float
        Width of an old pixel in new pixels.
    """

    old: tuple
    new: tuple
    ratio: float

    def __bool__(self):
        return self.ratio != 1 or self.old != self.new

    def position(self, x, y):
        """Positions in the new image, as x and y."""
        if not self:
            return x, y
        (ny, nx), (height, width) = self.old, self.new
        return (
            (width - 1) / 2 + self.ratio * (x - (nx - 1) / 2),
            (height - 1) / 2 + self.ratio * (y - (ny - 1) / 2),
        )

    def image(self, band):
        """Resample smooth light, as flux per new pixel."""
        if not self:
            return band
        sizes = zip(self.old, self.new, strict=True)
        offset = [(old - 1) / 2 - (new - 1) / 2 / self.ratio for old, new in sizes]
        moved = ndimage.affine_transform(
            band, np.full(2, 1 / self.ratio), offset, self.new, order=1, mode="nearest"
        )
        return moved / np.float32(self.ratio**2)

    def profile(self, profile):
        """Profile with its size in new pixels."""
        if isinstance(profile, Ellipse):
            return replace(profile, radius=self.ratio * profile.radius)
        return None if profile is None else profile.dilate(self.ratio)

    def wcs(self, wcs):
        """WCS of the new image, from one with ``cdelt``."""
        if not self:
            return wcs
        wcs = wcs.deepcopy()
        wcs.wcs.crpix = np.add(self.position(*(wcs.wcs.crpix - 1)), 1)
        wcs.wcs.cdelt = wcs.wcs.cdelt / self.ratio
        return wcs


def project(scene, target, move):
    """Convert a scene to other bands and pixels.

    Parameters
    ----------
    scene : `Scene`
        Scene in the bands of LEGUS.
    target : `~astroclust.simulation.observations.Observation`
        Observation in the other bands.
    move : `Move`
        Transformation from the pixels of LEGUS to those of ``target``.

    Returns
    -------
    sources : list of `~astroclust.simulation.drawing.Source`
        Sources of the candidates, with H II regions around young ones, and clouds.
    stars : `~astroclust.simulation.drawing.Stars`
        Single stars.
    light : `~numpy.ndarray` of float32, shape (bands, ny, nx)
        Unresolved light.
    """
    template = scene.observation
    clouds = [source for clouds in scene.clouds for source in clouds]
    sources = _sources(clouds, template, target, move, COOL_FRACTION)
    for candidate in scene.candidates:
        sources += _candidate_sources(candidate, template, target, move)
    flux = translate(scene.stars.flux, template, target, cool=0.0)
    stars = Stars(*move.position(scene.stars.x, scene.stars.y), flux)
    light = np.array([move.image(band) for band in _diffuse_light(scene, target)])
    return sources, stars, light


def _candidate_sources(candidate, template, target, move):
    # Class 4 is mostly stars.
    cool = 0.0 if candidate.label == 4 else COOL_FRACTION
    sources = _sources(candidate.sources, template, target, move, cool)
    log_age = candidate.truth.get("log_age", np.nan)
    lines = line_fraction(target) * line_width(log_age)
    if not sources or not lines.any():
        return sources
    flux = lines * np.sum([source.flux for source in sources], axis=0)
    parsecs = _REGION_RADIUS * 10 ** (_GROWTH * (log_age - 6))
    radius = float(np.hypot(parsecs, candidate.truth["radius"]) / target.pixel_pc)
    position = move.position(candidate.x, candidate.y)
    return [*sources, Source(*position, flux, Ellipse(("sersic", 0.5), radius))]


def _sources(sources, template, target, move, cool):
    if not sources:
        return []
    flux = np.array([source.flux for source in sources]).T
    columns = zip(sources, translate(flux, template, target, cool=cool).T, strict=True)
    return [
        Source(*move.position(source.x, source.y), row, move.profile(source.profile))
        for source, row in columns
    ]


def _diffuse_light(scene, target):
    """Continuum and lines of the galaxy on the pixels of LEGUS."""
    galaxy, template = scene.galaxy, scene.observation
    light = translate(galaxy.light, template, target)
    colors = relative_magnitudes(*COLORS["gas"]) + template.extinction
    gas = 10 ** (0.4 * (template.zero_points - colors))
    lines = _GAS_WIDTH * line_fraction(target) * translate(gas / gas[V], template, target, cool=0.0)
    if galaxy.gas is not None:
        for band, line in zip(light, lines, strict=True):
            band += np.float32(line) * galaxy.gas
    return light
