# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Multi-band images of a field, read and validated once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits
from numpy.typing import ArrayLike

from astroclust.display import html_or_none, images_html
from astroclust.files import replace_when_done
from astroclust.fits_structure import add_checksums
from astroclust.images.band import Band
from astroclust.images.headers import inspect_observation
from astroclust.images.naming import name_by_filter
from astroclust.images.pictures import PICTURE_FILTERS, picture_bands
from astroclust.images.reading import KEYWORDS, open_image, read_image, tell_remarks
from astroclust.images.units import to_one_unit
from astroclust.instruments import LEGUS_BANDS, BandSystem, find_band_system

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from astroclust.typing import ImagesLike

__all__ = ["Band", "ImageSet", "read_image"]

# Largest offset between the WCS of two bands, in pixels: well above the rounding of headers, and
# small enough that a source is in the same pixel of both.
WCS_TOLERANCE = 0.2


class ImageSet(Mapping[str, Band]):
    """Images of a field in several bands, on a common pixel grid.

    A mapping from filter names to `Band`; bands are selected by filter or role, ignoring case.

    Parameters
    ----------
    images : mapping
        Filter names to images. An image is a `~astropy.nddata.CCDData` or
        `~astropy.nddata.NDData`; an image HDU or an HDU list; a path or URL of a FITS file, plain
        or compressed, optionally with the extension in brackets (``"m83.fits[F814W]"``); a pair
        ``(array, wcs)``; or an array. The key may be a role (``"V"``) instead of a filter.
    roles : mapping, optional
        Filter names to roles, for filters that ``system`` does not have. These filters are not
        compared with the headers.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system; by default that of LEGUS.

    Raises
    ------
    ValueError
        If a filter or role is unknown, two bands have the same role, an image is not 2-D or not
        numeric, units cannot be converted to a common one, or shapes or coordinates differ; the
        message says by how much.
    TypeError
        If an image has another type.
    OSError
        If a file is missing, empty, truncated or not FITS.

    Warns
    -----
    AstropyUserWarning
        Once, if headers are inconsistent with the filters, with themselves or with the pixels.

    Notes
    -----
    Pixel positions are 0-based: position (x, y) is pixel ``data[y, x]``.

    All bands are converted to the unit of the band system, electrons per second for LEGUS: counts
    with ``EXPTIME``, flux densities with ``PHOTFLAM`` and ``PHOTPLAM`` or the zero points of LEGUS.
    Images without a unit are assumed to be in electrons per second.

    Pixels outside the exposures are treated as NaN: zeros in drizzled images, zeros dithered by
    ``fpack``, and pixels with zero weight (extension ``WHT``).

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import ImageSet
    >>> images = ImageSet({"F555W": np.zeros((80, 100)), "F814W": np.zeros((80, 100))})
    >>> images
    <ImageSet: V F555W, I F814W; 80 x 100 pixels, no WCS>
    >>> images["V"].filter
    'F555W'
    """

    def __init__(
        self,
        images: "ImagesLike",
        *,
        roles: Mapping[str, str] | None = None,
        system: str | BandSystem = LEGUS_BANDS,
    ) -> None:
        if not isinstance(images, Mapping):
            raise TypeError(
                "images must be a mapping from filter names to images, such as "
                f'{{"F555W": "v.fits"}}, not {type(images).__name__}'
            )
        if not images:
            raise ValueError("images is empty; pass at least one band")
        roles = {_key(name): role for name, role in (roles or {}).items()}
        self._system = system = find_band_system(system)
        opened = [_open(name, image, roles, system) for name, image in images.items()]
        # Bands of another `ImageSet` have already been compared with their headers.
        fresh = [not (isinstance(image, Band) and image.role) for image in images.values()]
        converted = to_one_unit(opened, system.unit)
        bands = tell_remarks(
            [
                _with_remarks(band, stored, system, insisted=band.filter in roles) if new else band
                for band, stored, new in zip(converted, opened, fresh, strict=True)
            ]
        )
        bands.sort(key=lambda band: system.index(band.role))
        self._bands = {band.filter: band for band in bands}
        if len({band.role for band in bands}) < len(bands):
            given = ", ".join(f"{band.filter} ({band.role})" for band in bands)
            raise ValueError(f"two bands have the same role: {given}; omit one of them")
        _check_shapes(bands)
        self._wcs = _common_wcs(bands)

    @classmethod
    def of(cls, images: "ImagesLike", system: str | BandSystem | None = None) -> "ImageSet":
        """Convert images to an `ImageSet`.

        Parameters
        ----------
        images : `ImageSet` or mapping
            Images of a field; see `ImageSet`.
        system : str or `~astroclust.instruments.BandSystem`, optional
            Required band system; by default that of ``images``, or LEGUS for a mapping.

        Returns
        -------
        images : `ImageSet`
            The same object if it already uses that system. Filters have their roles in
            ``system``, unless ``roles`` assigned other ones; bands without a role are excluded.

        Raises
        ------
        TypeError, ValueError, OSError
            See `ImageSet`.

        Examples
        --------
        >>> import numpy as np
        >>> from astroclust import ImageSet
        >>> images = ImageSet.of({"F555W": np.zeros((80, 100))})
        >>> ImageSet.of(images) is images
        True
        """
        if not isinstance(images, ImageSet):
            return cls(images, system=LEGUS_BANDS if system is None else system)
        system = images.system if system is None else find_band_system(system)
        if system == images.system:
            return images
        roles = {
            band.filter: _role_in(system, band, images.system.filters) for band in images.values()
        }
        roles = {name: role for name, role in roles.items() if role in system.roles}
        if not roles:
            raise ValueError(
                f"images have the bands {', '.join(images.filters)} of band system "
                f"{images.system.name}, none of which has a role in {system.name} "
                f"({', '.join(system.roles)}); assign roles with ImageSet(..., roles=..., "
                f'system="{system.name}")'
            )
        return cls({name: images[name] for name in roles}, roles=roles, system=system)

    @classmethod
    def read(
        cls,
        paths: Mapping[str, str | Path] | str | Path | Sequence[str | Path],
        *,
        roles: Mapping[str, str] | None = None,
        system: str | BandSystem | None = None,
    ) -> "ImageSet":
        """Read the bands of a field from FITS files.

        Parameters
        ----------
        paths : mapping, str, `~pathlib.Path` or sequence of them
            Filter names to files, as for `ImageSet`; or files, whose filters are read from their
            headers. A file with extensions named by filters, as written by `write`, provides all
            of its bands.
        roles : mapping, optional
            Filter names to roles, for filters that ``system`` does not have.
        system : str or `~astroclust.instruments.BandSystem`, optional
            Band system; by default that of a file written by `write`, else that of LEGUS.

        Returns
        -------
        images : `ImageSet`
            The bands, memory-mapped if possible.

        Raises
        ------
        ValueError
            If a header does not name exactly one filter; see also `ImageSet`.
        OSError
            If a file cannot be read.

        Examples
        --------
        >>> from astroclust import ImageSet, simulate_field
        >>> simulate_field(like="ngc1566", shape=(64, 64), seed=1).images.write("field.fits")
        >>> ImageSet.read("field.fits").filters
        ('F275W', 'F336W', 'F438W', 'F555W', 'F814W')
        """
        if isinstance(paths, Mapping):
            return cls(paths, roles=roles, system=LEGUS_BANDS if system is None else system)
        files = [paths] if isinstance(paths, str | Path) else list(paths)
        if not files:
            raise ValueError("paths is empty; pass the file of at least one band")
        images, system = name_by_filter(files, roles=roles, system=system)
        try:
            return cls(images, roles=roles, system=system)
        except ValueError as error:
            named = any(Path(path).name in str(error) for path in files)
            if named or len(files) > 1:
                raise
            raise ValueError(f"{files[0]}: {error}") from error

    @classmethod
    def from_picture(
        cls,
        path: str | Path,
        filters: Sequence[str | None] = PICTURE_FILTERS,
        *,
        affine: ArrayLike | None = None,
        wcs: "WCS | None" = None,
        shape: tuple[int, int] | None = None,
        origin: tuple[int, int] = (0, 0),
        pixel_scale: float | u.Quantity | None = None,
        roles: Mapping[str, str] | None = None,
        system: str | BandSystem = LEGUS_BANDS,
    ) -> "ImageSet":
        """Bands of a rendered color picture, resampled to a pixel grid.

        The grid is given by ``affine``, or is north up if the picture has a ``wcs``.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            JPEG, PNG or other file with 8 bits per channel that Pillow can read.
        filters : sequence of 3 str or None, optional
            Filters of the red, green and blue channels; None for a channel that is not a band.
        affine : array_like of float, shape (2, 3), optional
            ``[[a_cx, a_cy, t_c], [a_rx, a_ry, t_r]]``: pixel (x, y) of the grid is pixel
            ``column = a_cx x + a_cy y + t_c``, ``row = a_rx x + a_ry y + t_r`` of the picture.
            All are 0-based, and row 0 is at the top. A sequence of 6 numbers is also accepted.
        wcs : WCS, optional
            WCS of the pixels (column, row) of the picture; row 0 is at the top.
        shape : tuple of int, optional
            Shape (ny, nx) of the result; by default from ``origin`` to the last row and column of
            the grid that the picture covers.
        origin : tuple of int, optional
            Pixel (x, y) of the grid that becomes pixel (0, 0) of the result.
        pixel_scale : float or `~astropy.units.Quantity`, optional
            Pixel scale of a north-up grid, in arcsec; by default 0.0396, that of LEGUS.
        roles, system : optional
            See `ImageSet`.

        Returns
        -------
        images : `ImageSet`
            The bands in the unit ``rendered``, with values from about 0 to 255 that are not
            proportional to flux; NaN outside the picture. They are resampled with cubic splines.

        Raises
        ------
        FileNotFoundError, OSError
            If the file does not exist or is not a picture.
        ValueError
            If a filter is unknown, both or neither of ``affine`` and ``wcs`` are given, the
            picture does not have 8 bits per channel, or the grid is outside the picture.

        Examples
        --------
        A flipped picture with pixels twice as wide as those of a catalog:

        >>> import numpy as np
        >>> from PIL import Image
        >>> from astroclust import ImageSet
        >>> rgb = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        >>> Image.fromarray(rgb).save("galaxy.png")
        >>> images = ImageSet.from_picture("galaxy.png", affine=[[0.5, 0, 0], [0, -0.5, 39]])
        >>> images
        <ImageSet: B F438W, V F555W, I F814W; 79 x 119 pixels, no WCS>
        >>> bool(np.isclose(images["I"].data[78, 2], rgb[0, 1, 0], atol=1e-3))
        True
        """
        bands = picture_bands(
            path,
            filters,
            affine=affine,
            wcs=wcs,
            shape=shape,
            origin=origin,
            pixel_scale=pixel_scale,
        )
        return cls(bands, roles=roles, system=system)

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write all bands to a FITS file with one extension per band, named by filter.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            Output file; it is created only once it is complete.
        overwrite : bool, optional
            Whether the file may exist.
        """
        hdus = fits.HDUList([fits.PrimaryHDU()])
        hdus[0].header.update(self.system.header)
        for band in self.values():
            header = fits.Header() if band.wcs is None else band.wcs.to_header(relax=True)
            for key in KEYWORDS:
                value = band.meta.get(key)
                if isinstance(value, str | int) or (
                    isinstance(value, float) and np.isfinite(value)
                ):
                    header[key] = value
            header["FILTER"], header["ROLE"] = band.filter, band.role
            if band.unit is not None:
                header["BUNIT"] = band.unit.to_string()
            data = band.data if band.is_plain else band.pixels(slice(None))
            hdus.append(fits.ImageHDU(data, header, name=band.filter))
        add_checksums(hdus)
        with replace_when_done(path, overwrite=overwrite) as partial:
            hdus.writeto(partial)

    def __getitem__(self, name: str) -> Band:
        for band in self._bands.values():
            if _key(name) in (band.filter, band.role):
                return band
        raise KeyError(f"no band {name!r}; available are {', '.join(self._bands)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._bands)

    def __len__(self) -> int:
        return len(self._bands)

    def __repr__(self) -> str:
        bands = ", ".join(f"{band.role} {band.filter}" for band in self._bands.values())
        ny, nx = self.shape
        scale = self.pixel_scale
        wcs = "no WCS" if scale is None else f'{scale.value:.4f}" a pixel'
        return f"<ImageSet: {bands}; {ny} x {nx} pixels, {wcs}>"

    def _repr_html_(self):
        return html_or_none(images_html, self)

    @property
    def system(self) -> BandSystem:
        """The `~astroclust.instruments.BandSystem` of the bands."""
        return self._system

    @property
    def filters(self) -> tuple[str, ...]:
        """Filter names, from short to long wavelengths."""
        return tuple(self._bands)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the bands, from short to long wavelengths."""
        return tuple(band.role for band in self._bands.values())

    @property
    def reference(self) -> Band:
        """The reference band: first available one in the band system's preference (LEGUS: V)."""
        return next(self[role] for role in self._system.reference if role in self.roles)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of every band, (ny, nx)."""
        return next(iter(self._bands.values())).data.shape

    @property
    def wcs(self) -> "WCS | None":
        """Common celestial WCS of all bands, or None."""
        return self._wcs

    @property
    def pixel_scale(self) -> u.Quantity | None:
        """Geometric mean of the sides of the central pixel, in arcsec; None without a WCS."""
        if self._wcs is None:
            return None
        y, x = (np.array(self.shape) - 1) / 2
        sky = self._wcs.pixel_to_world([x, x + 1, x], [y, y, y + 1])
        sides = sky[0].separation(sky[1:])
        return np.sqrt(sides[0] * sides[1]).to(u.arcsec)


def _key(name):
    if not isinstance(name, str):
        raise TypeError(f"a filter name must be a string, not {name!r}")
    return name.strip().upper()


def _role(name, roles, system):
    role = _key(roles.get(name, system.filters.get(name, name)))
    if role in system.roles:
        return role
    if name in roles:
        raise ValueError(f"role {role!r} of {name} is not one of {', '.join(system.roles)}")
    raise ValueError(
        f"filter {name!r} has no known role; available are {', '.join(system.filters)}. Assign a "
        f'role, as in roles={{"{name}": "{system.reference[0]}"}}, or choose another band system '
        "with system="
    )


def _role_in(system, band, filters):
    """Role of a band in another system; a role assigned by the user is kept."""
    by_hand = band.role != filters.get(band.filter) and band.role in system.roles
    return band.role if by_hand else system.filters.get(band.filter, band.role)


def _open(name, image, roles, system):
    name = _key(name)
    role = _role(name, roles, system)
    return replace(open_image(image, name=name), filter=name, role=role)


def _with_remarks(band, stored, system, *, insisted):
    remarks = inspect_observation(band, system, insisted=insisted, stored_unit=stored.unit)
    return replace(band, remarks=(*band.remarks, *remarks))


def _check_shapes(bands):
    first = bands[0]
    for band in bands[1:]:
        dy, dx = np.subtract(band.data.shape, first.data.shape)
        if dx or dy:
            raise ValueError(
                f"{band.filter} has shape {band.data.shape}, but {first.filter} has "
                f"{first.data.shape}: {dx:+d} pixels in x and {dy:+d} in y; reproject all bands "
                "to one grid (for example with the reproject package)"
            )


def _common_wcs(bands):
    with_wcs = [band for band in bands if band.wcs is not None]
    if not with_wcs:
        return None
    first = with_wcs[0]
    ny, nx = first.data.shape
    x = np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2])
    y = np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2])
    sky = first.wcs.pixel_to_world(x, y)
    for band in with_wcs[1:]:
        other_x, other_y = band.wcs.world_to_pixel(sky)
        offset = np.hypot(other_x - x, other_y - y).max()
        if not offset <= WCS_TOLERANCE:
            raise ValueError(
                f"the WCS of {band.filter} differs from that of {first.filter} by up to "
                f"{offset:.2f} pixels (more than {WCS_TOLERANCE}); reproject all bands to one "
                "grid (for example with the reproject package)"
            )
    return first.wcs
