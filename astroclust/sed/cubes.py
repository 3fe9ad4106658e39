# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Extract spectra of candidates from integral-field cubes."""

import warnings
from math import prod

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty, VarianceUncertainty
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, WCSSUB_LATITUDE, WCSSUB_LONGITUDE
from astropy.wcs.utils import proj_plane_pixel_scales
from photutils.aperture import CircularAnnulus, CircularAperture
from specutils import Spectrum

from astroclust.catalogs import pixel_positions, sky_positions

__all__ = ["extract_spectra"]

# Minimum number of sky pixels for a level.
_MIN_SKY_PIXELS = 10
# The variance of the median of n values of unit variance is this over n.
_OF_MEDIAN = np.pi / 2
# Units of values whose sum is not a flux.
_NOT_LINEAR = {"mag", "dex", "dB", "K", "deg_C"}


def extract_spectra(
    table: Table,
    cube: Spectrum,
    *,
    radius: float | u.Quantity,
    annulus: tuple[float | u.Quantity, float | u.Quantity] | u.Quantity | None = None,
) -> Spectrum:
    """Extract spectra of candidates from a cube with circular apertures.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        If the cube has a celestial WCS, with a `~astropy.coordinates.SkyCoord` column or ``ra`` and
        ``dec``, which take precedence because ``x`` and ``y`` usually belong to other images;
        otherwise with ``x`` and ``y``, 0-based pixels of the cube along right ascension and
        declination.
    cube : `~specutils.Spectrum`, 3-D
        Cube with the spectral axis in any position, and the FITS WCS for sky positions; the guide
        explains how to read one.
    radius : float or `~astropy.units.Quantity`
        Radius of the aperture, in pixels of the cube, or an angle if it has a celestial WCS. Pixels
        on the edge are weighted by overlap.
    annulus : tuple of two floats or `~astropy.units.Quantity`, optional
        Inner and outer radius of the sky annulus, whose median at each wavelength is subtracted; by
        default, no sky is subtracted.

    Returns
    -------
    spectra : `~specutils.Spectrum`, shape (n, n_wavelengths)
        One spectrum per row, in the order of the table: ``spectra[i]`` is the 1-D spectrum of row
        i. Sums over pixels, in the unit of the cube; sums of a surface brightness (per sr, per
        arcsec2) are multiplied by the solid angle of a pixel from the WCS, and sums of fluxes per
        pixel drop the pixel unit. Includes the uncertainty if the cube has one (assuming
        independent pixels). NaN and masked at wavelengths at which a pixel in the aperture is
        masked or not finite, or there are fewer than 10 sky pixels, and at all wavelengths if the
        aperture is not completely on the cube.

    Raises
    ------
    TypeError
        If ``cube`` is not a `~specutils.Spectrum`.
    ValueError
        If the cube is not 3-D, or its WCS has the spectral axis elsewhere; if it has no celestial
        WCS and the table has no ``x`` and ``y``, a radius is an angle or the cube is a surface
        brightness; if sums in its unit are not fluxes (per beam, magnitudes, temperatures); or if a
        radius is invalid.
    KeyError
        If the table has no positions.

    Warns
    -----
    AstropyUserWarning
        If candidates are off the cube or only partly on it; issued once, with their number.

    Notes
    -----
    The result is a single 2-D spectrum because all rows have the same wavelengths; rows without a
    spectrum are kept.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astropy.table import Table
    >>> from specutils import Spectrum
    >>> from astroclust import extract_spectra
    >>> flux = np.ones((50, 20, 30)) * u.Unit("1e-20 erg / (s cm2 Angstrom)")
    >>> wavelength = np.linspace(4750, 9350, 50) * u.AA
    >>> cube = Spectrum(flux=flux, spectral_axis=wavelength, spectral_axis_index=0)
    >>> spectra = extract_spectra(Table({"x": [9.0, 15.0], "y": [9.0, 12.0]}), cube, radius=2)
    >>> spectra.shape
    (2, 50)
    """
    if not isinstance(cube, Spectrum):
        raise TypeError(f"cube must be a specutils Spectrum, not {type(cube).__name__}")
    if cube.flux.ndim != 3:
        raise ValueError(f"cube must have three axes, not shape {cube.flux.shape}")
    x_axis, y_axis = _spatial_axes(cube)
    wcs = None
    if _is_celestial(cube.wcs):
        wcs = cube.wcs.sub([WCSSUB_LONGITUDE, WCSSUB_LATITUDE])  # in this order
    x, y = _positions(table, wcs)
    radius, annulus = _radii(radius, annulus, wcs)
    order = cube.spectral_axis_index, y_axis, x_axis
    unit, area = _flux_unit(cube.flux.unit, wcs)
    pixels = _Pixels(cube, order)
    n, n_wavelengths = len(x), len(cube.spectral_axis)
    flux, variance = np.full((2, n, n_wavelengths), np.nan)
    whole = np.zeros(n, bool)
    for i in np.flatnonzero(np.isfinite(x) & np.isfinite(y)):
        aperture = CircularAperture((x[i], y[i]), radius).to_mask(method="exact")
        ring = annulus and CircularAnnulus((x[i], y[i]), *annulus).to_mask(method="center")
        whole[i] = pixels.hold(aperture)
        if whole[i]:
            flux[i], variance[i] = pixels.measure(aperture, ring)
    if not whole.all():
        warnings.warn(
            f"{np.sum(~whole)} of {n} candidates have an aperture that is not completely on the "
            "cube; their spectra are NaN",
            AstropyUserWarning,
            stacklevel=2,
        )
    uncertainty = None
    if pixels.variance is not None:
        uncertainty = StdDevUncertainty(np.sqrt(variance) * area, unit=unit)
    return Spectrum(
        flux=flux * area * unit,
        spectral_axis=cube.spectral_axis,
        spectral_axis_index=1,
        uncertainty=uncertainty,
        mask=np.isnan(flux),
    )


def _is_celestial(wcs):
    # Spectrum makes a GWCS without sky axes if it is sliced or given no WCS.
    return isinstance(wcs, WCS) and wcs.has_celestial


def _spatial_axes(cube):
    """Axes of the array along x and y: specutils may put the spectral axis last or first."""
    if _is_celestial(cube.wcs):
        x_axis, y_axis = 2 - cube.wcs.wcs.lng, 2 - cube.wcs.wcs.lat
        if cube.spectral_axis_index in (x_axis, y_axis):
            raise ValueError(
                f"cube has its spectral axis at {cube.spectral_axis_index}, where its WCS has a "
                "sky axis (as after move_spectral_axis=1 in specutils); move it to the first or "
                "last axis"
            )
        return x_axis, y_axis
    y_axis, x_axis = (axis for axis in range(3) if axis != cube.spectral_axis_index)
    return x_axis, y_axis


def _positions(table, wcs):
    if wcs is not None:
        try:
            return pixel_positions(Table({"sky": sky_positions(table)}), wcs)
        except KeyError:
            return pixel_positions(table)
    if isinstance(table, Table) and table.colnames and not {"x", "y"} <= set(table.colnames):
        raise ValueError(
            "the cube has no celestial WCS, and the table has no x and y; use pixels of the "
            "cube, or a cube with its FITS WCS (spatial slices of a Spectrum lose it)"
        )
    return pixel_positions(table)


def _flux_unit(unit, wcs):
    """Unit of sums over pixels, and the conversion factor to it."""
    if not isinstance(unit, u.UnitBase) or {base.name for base in unit.bases} & _NOT_LINEAR:
        raise ValueError(
            f"the cube is in {unit}, in which pixels cannot be summed; convert it to a flux "
            "density, such as Jy, or a surface brightness, such as MJy / sr"
        )
    if u.beam in unit.bases:
        raise ValueError(
            f"the cube is in {unit}, but the solid angle of its beam is not known; convert its "
            "flux to MJy / sr, with u.beam_angular_area(solid_angle) as the equivalency"
        )
    per_angle = _product(unit, u.rad)
    if per_angle == u.dimensionless_unscaled and u.rad in unit.decompose().bases:
        unit = unit.decompose()  # the name of rayleighs contains it
        per_angle = _product(unit, u.rad)
    if per_angle.is_equivalent(u.dimensionless_unscaled):
        return unit / _product(unit, u.pix), 1.0  # fluxes per pixel are summed over pixels
    if not per_angle.is_equivalent(u.sr**-1):
        raise ValueError(
            f"the cube is in {unit}, which is neither a flux density nor a surface brightness; "
            "correct its unit, for example to Jy or MJy / sr"
        )
    if wcs is None:
        raise ValueError(
            f"the cube is in {unit} but has no celestial WCS for the solid angle of a pixel; "
            "multiply its flux by that angle, or use the cube with its FITS WCS (spatial slices "
            "of a Spectrum lose it)"
        )
    return unit / per_angle, wcs.proj_plane_pixel_area().to_value(per_angle**-1)


def _product(unit, kind):
    """The part of a unit in units of one physical type, such as angles."""
    parts = zip(unit.bases, unit.powers, strict=True)
    chosen = [base**power for base, power in parts if base.decompose().bases == [kind]]
    return prod(chosen, start=u.dimensionless_unscaled)


def _radii(radius, annulus, wcs):
    """Radii of the aperture and of the sky annulus (or None), in pixels."""
    radius = _pixels(radius, wcs, "radius")
    if np.ndim(radius) or not 0 < radius < np.inf:
        raise ValueError(f"radius must be a positive number, not {radius!r}")
    if annulus is None:
        return radius, None
    if len(annulus) == 2:
        inner, outer = (_pixels(r, wcs, "annulus") for r in annulus)
        if 0 < inner < outer < np.inf:
            return radius, (inner, outer)
    raise ValueError(f"annulus must be two radii, the smaller first, not {annulus!r}")


def _pixels(radius, wcs, name):
    if not isinstance(radius, u.Quantity) or radius.unit == u.pix:
        return getattr(radius, "value", radius)
    if wcs is None:
        raise ValueError(f"{name} is an angle, but the cube has no celestial WCS; use pixels")
    if not radius.unit.is_equivalent(u.deg):
        raise ValueError(f"{name} must be in pixels or an angle, not in {radius.unit}")
    scale = np.sqrt(np.prod(proj_plane_pixel_scales(wcs))) * u.Unit(wcs.wcs.cunit[0])
    return float((radius / scale).to_value(u.dimensionless_unscaled))


class _Pixels:
    """Values of a cube and their variances, with axes wavelength, y, x."""

    def __init__(self, cube, order):
        self.flux = np.transpose(cube.flux.value, order)
        self.mask = None if cube.mask is None else np.transpose(np.asarray(cube.mask, bool), order)
        self.variance = None
        if cube.uncertainty is not None:
            errors = cube.uncertainty.represent_as(VarianceUncertainty)
            per_unit = 1.0 if errors.unit is None else errors.unit.to(cube.flux.unit**2)
            self.variance = np.transpose(errors.array, order) * per_unit

    def hold(self, aperture):
        """Whether an aperture is completely on the cube."""
        of_cube, of_mask = aperture.get_overlap_slices(self.flux.shape[1:])
        return of_cube is not None and np.isclose(aperture.data[of_mask].sum(), aperture.data.sum())

    def measure(self, aperture, ring):
        """Sky-subtracted sums at all wavelengths, and their variances."""
        weights, values, variances = self._inside(aperture)
        total, variance = values @ weights, variances @ weights**2
        if ring is not None:
            area = weights.sum()
            level, level_variance = self._sky(ring)
            total = total - area * level
            variance = variance + area**2 * level_variance
        return total, np.where(np.isnan(total), np.nan, variance)

    def _inside(self, aperture):
        """Weights, shape (m,); values (NaN if bad) and variances, shape (k, m)."""
        of_cube, of_mask = aperture.get_overlap_slices(self.flux.shape[1:])
        if of_cube is None:
            nothing = np.empty((len(self.flux), 0))
            return np.empty(0), nothing, nothing
        weights = aperture.data[of_mask]
        used = weights > 0
        part = (slice(None), *of_cube)
        values = np.array(self.flux[part][:, used], float)
        values[~np.isfinite(values)] = np.nan
        if self.mask is not None:
            values[self.mask[part][:, used]] = np.nan
        variances = np.zeros_like(values)
        if self.variance is not None:
            variances = np.array(self.variance[part][:, used], float)
        return weights[used], values, variances

    def _sky(self, ring):
        """Median of the annulus at each wavelength (NaN for too few pixels), and its variance."""
        _, values, variances = self._inside(ring)
        good = np.isfinite(values)
        n = good.sum(axis=1)
        enough = n >= _MIN_SKY_PIXELS
        level, variance = np.full((2, len(values)), np.nan)
        if enough.any():
            median = np.median if good[enough].all() else np.nanmedian  # nanmedian is slow
            level[enough] = median(values[enough], axis=1)
            mean = np.where(good, variances, 0)[enough].sum(axis=1) / n[enough]
            variance[enough] = _OF_MEDIAN * mean / n[enough]
        return level, variance
