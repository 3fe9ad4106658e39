# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Postage stamps: cutting them from images, and multi-extension FITS files."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from io import BytesIO
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from astroclust.catalogs import pixel_positions
from astroclust.catalogs.fits_tables import (
    add_null_logicals,
    mask_null_logicals,
    without_null_warnings,
)
from astroclust.display import html_or_none, stamps_html
from astroclust.files import open_fits, replace_when_done
from astroclust.fits_structure import add_checksums
from astroclust.images import ImageSet
from astroclust.instruments import LEGUS_BANDS, BandSystem, find_band_system
from astroclust.stamps.cutting import cut_stamps
from astroclust.stamps.damage import DAMAGE, damage_pixels, damage_stamps, without_bands
from astroclust.stamps.flags import StampFlag, decode_flags, flag_absent
from astroclust.stamps.holes import fill_holes
from astroclust.stamps.normalization import (
    NORMALIZATIONS,
    normalize_pixels,
    normalize_stamps,
)
from astroclust.stamps.reference import cut_with_cutout2d

if TYPE_CHECKING:
    from astroclust.typing import ImagesLike

__all__ = [
    "DAMAGE",
    "NORMALIZATIONS",
    "StampFlag",
    "Stamps",
    "damage_pixels",
    "damage_stamps",
    "decode_flags",
    "fill_holes",
    "make_stamps",
    "normalize_pixels",
    "normalize_stamps",
    "without_bands",
]


@dataclass(frozen=True, eq=False, repr=False)
class Stamps:
    """Postage stamps of candidates in several bands.

    Parameters
    ----------
    data : array_like, shape (n, n_bands, size, size)
        Pixels; NaN for missing pixels, all zero for absent bands.
    filters : sequence of str, length n_bands
        Filter names, which are also the names of the extensions of a file.
    bands : sequence of str, length n_bands, optional
        Roles of the filters; by default those in ``system``.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system; by default that of LEGUS.
    present : array_like of bool, shape (n, n_bands), optional
        Whether a band was observed; by default False if all pixels are equal or missing.
    flags : array_like of int, shape (n,), optional
        Bits of `StampFlag`.
    table : `~astropy.table.Table`, length n, optional
        One row per stamp, from the input catalog or the simulation.

    Raises
    ------
    ValueError
        If shapes do not match or bands are not in ``system``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import Stamps, make_stamps, simulate_field
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> stamps = make_stamps(Table({"x": [30.0, 2.0], "y": [40.0, 9.0]}), field.images, size=20)
    >>> stamps.data.shape, stamps.flags.tolist()
    ((2, 5, 20, 20), [0, 1])
    >>> stamps[stamps.flags == 0].write("stamps.fits")
    >>> Stamps.read("stamps.fits")
    <Stamps: 1 of 20 x 20 pixels in NUV F275W, U F336W, B F435W, V F555W, I F814W>
    """

    data: NDArray[np.float32]
    filters: tuple[str, ...]
    _: KW_ONLY
    bands: tuple[str, ...] = None  # type: ignore[assignment]
    system: BandSystem = LEGUS_BANDS
    present: NDArray[np.bool_] = None  # type: ignore[assignment]
    flags: NDArray[np.int32] = None  # type: ignore[assignment]
    table: Table = None

    if TYPE_CHECKING:
        # Parameters are converted to the types of the fields.
        def __init__(
            self,
            data: ArrayLike,
            filters: Sequence[str],
            *,
            bands: Sequence[str] | None = ...,
            system: str | BandSystem = ...,
            present: ArrayLike | None = ...,
            flags: ArrayLike | None = ...,
            table: Table | None = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        freeze = partial(object.__setattr__, self)  # how a frozen dataclass is set up
        freeze("data", np.asarray(self.data, np.float32))
        freeze("filters", tuple(self.filters))
        freeze("system", find_band_system(self.system))
        known = self.system.filters
        roles = [known.get(name, name) for name in self.filters]
        freeze("bands", self.system.select(roles if self.bands is None else self.bands))
        if self.data.ndim != 4 or self.data.shape[2] != self.data.shape[3]:
            raise ValueError(
                f"data must have shape (n, n_bands, size, size), not {self.data.shape}"
            )
        n, n_bands = self.data.shape[:2]
        if not n_bands == len(self.filters) == len(self.bands):
            raise ValueError(
                f"data has {n_bands} bands, but filters has {len(self.filters)} names and bands "
                f"{len(self.bands)}"
            )
        present = _has_structure(self.data) if self.present is None else self.present
        freeze("present", np.asarray(present, bool))
        freeze("flags", np.zeros(n, np.int32) if self.flags is None else np.int32(self.flags))
        freeze("table", Table() if self.table is None else self.table)
        for name, length in (
            ("present", self.present.shape != (n, n_bands)),
            ("flags", self.flags.shape != (n,)),
            ("table", bool(self.table.colnames) and len(self.table) != n),
        ):
            if length:
                raise ValueError(f"{name} must have one row for each of {n} stamps")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> "Stamps":
        """Select stamps with a slice, a mask or an array of row numbers."""
        return replace(
            self,
            data=self.data[rows],
            present=self.present[rows],
            flags=self.flags[rows],
            table=self.table[rows] if self.table.colnames else self.table,
        )

    def __repr__(self) -> str:
        bands = ", ".join(map(" ".join, zip(self.bands, self.filters, strict=True)))
        return f"<Stamps: {len(self)} of {self.size} x {self.size} pixels in {bands}>"

    def _repr_html_(self):
        return html_or_none(stamps_html, self)

    @property
    def size(self) -> int:
        """Width of the stamps, in pixels."""
        return self.data.shape[-1]

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the stamps to a multi-extension FITS file.

        Each band is an image extension, named by its filter, of shape ``(n, size, size)``, or
        ``(size, size)`` for a single stamp, as in Wei et al. (2020, sec. 3.2). ``STATUS`` holds
        the flags and the present bands, ``CATALOG`` the table.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            Output file; it is created only once it is complete.
        overwrite : bool, optional
            Whether the file may exist.
        """
        hdus = fits.HDUList([fits.PrimaryHDU()])
        hdus[0].header.update(self.system.header)
        for i, (name, role) in enumerate(zip(self.filters, self.bands, strict=True)):
            pixels = self.data[0, i] if len(self) == 1 else self.data[:, i]
            hdu = fits.ImageHDU(np.ascontiguousarray(pixels), name=name)
            hdu.header["FILTER"], hdu.header["ROLE"] = name, role
            hdus.append(hdu)
        status = Table({"FLAGS": self.flags, "PRESENT": self.present})
        hdus.append(fits.table_to_hdu(status))
        hdus[-1].name = "STATUS"
        if self.table.colnames:
            # Via a file, as only `Table.write` preserves sky positions and units.
            buffer = BytesIO()
            self.table.write(buffer, format="fits")
            buffer.seek(0)
            hdus.append(fits.open(buffer, memmap=False)[1])
            hdus[-1].name = "CATALOG"
            add_null_logicals(hdus[-1], self.table)
        add_checksums(hdus)
        with replace_when_done(path, overwrite=overwrite) as partial:
            hdus.writeto(partial)

    @classmethod
    def read(cls, path: str | Path) -> "Stamps":
        """Read a file written by `write`.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The file.

        Returns
        -------
        stamps : `Stamps`
            The stamps, with their flags and table.

        Raises
        ------
        OSError
            If the file is missing, truncated, damaged or not FITS.
        ValueError
            If it is another type of FITS file.

        Warns
        -----
        AstropyUserWarning
            If its checksums do not match its content.
        """
        with open_fits(path) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and "ROLE" in hdu.header]
            # A band may have the same name as a table.
            tables = {hdu.name: i for i, hdu in enumerate(hdus) if not hdu.is_image}
            if not images or "STATUS" not in tables:
                raise ValueError(f"{path} has no stamps written by Stamps.write")
            status = Table.read(hdus, hdu=tables["STATUS"])
            table = _read_catalog(hdus, tables["CATALOG"]) if "CATALOG" in tables else None
            shapes = {np.shape(hdu.data) for hdu in images}
            shape = min(shapes)
            if len(shapes) > 1 or len(shape) not in (2, 3) or shape[-1] != shape[-2]:
                raise ValueError(
                    f"{path} has images of shapes {sorted(shapes)}, not stamps of one size "
                    "written by Stamps.write"
                )
            return cls(
                np.stack([hdu.data.reshape(-1, *shape[-2:]) for hdu in images], axis=1),
                [hdu.header["FILTER"] for hdu in images],
                bands=[hdu.header["ROLE"] for hdu in images],
                system=BandSystem.of_header(hdus[0].header),
                present=np.reshape(status["PRESENT"], (-1, len(images))),
                flags=status["FLAGS"],
                table=table,
            )


def _read_catalog(hdus, number):
    """Table in a file of stamps, with null values of boolean columns masked."""
    with without_null_warnings():
        table = Table.read(hdus, hdu=number)
    mask_null_logicals(table, hdus[number])
    return table


# Cutting methods by name.
_METHODS = {"blocks": cut_stamps, "cutout2d": cut_with_cutout2d}


def make_stamps(
    table: Table,
    images: "ImagesLike",
    *,
    size: int = 50,
    bands: Sequence[str] | None = None,
    method: str = "blocks",
    progress_bar: bool = False,
) -> Stamps:
    """Cut postage stamps at the positions in a table (Wei et al. 2020, sec. 3.2).

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions; see `~astroclust.catalogs.pixel_positions`.
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field.
    size : int, optional
        Width of the stamps, in pixels. The candidate is within half a pixel of pixel
        ``size // 2``, rounded as in `~astropy.nddata.Cutout2D`.
    bands : sequence of str, optional
        Roles of the bands, in order; by default all in the band system of ``images``. Bands that
        are not in ``images``, or constant in a stamp, are zero and not ``present``.
    method : str, optional
        ``"cutout2d"``: each stamp of each band is the ``data`` of a `~astropy.nddata.Cutout2D` of
        the calibrated band, with ``mode="partial"`` and ``fill_value=nan``. ``"blocks"``: identical
        stamps cut in blocks, which is faster and does not copy the band.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    stamps : `Stamps`
        One stamp per row, with ``flags``; no rows are dropped. NaN marks pixels that are masked,
        not finite or outside the image.

    Raises
    ------
    KeyError, TypeError, ValueError
        See `~astroclust.images.ImageSet` and `~astroclust.catalogs.pixel_positions`; also if
        ``method`` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust import make_stamps
    >>> image = np.arange(10000.0).reshape(100, 100)
    >>> stamps = make_stamps(Table({"x": [40.0], "y": [50.0]}), {"F555W": image}, size=6)
    >>> stamps.data[0, 3, 3, 3]
    np.float32(5040.0)

    `~astropy.nddata.Cutout2D` returns the same:

    >>> table = Table({"x": [40.0, 0.0], "y": [50.0, 99.0]})
    >>> stamps = make_stamps(table, {"F555W": image}, size=6)
    >>> reference = make_stamps(table, {"F555W": image}, size=6, method="cutout2d")
    >>> np.array_equal(stamps.data, reference.data, equal_nan=True)
    True
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    images = ImageSet.of(images)
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(f"size must be a whole number of pixels, at least 1, not {size!r}")
    bands = images.system.select(bands)
    x, y = pixel_positions(table, images.wcs)
    given = {band.role: band for band in images.values()}
    chosen = [given.get(role) for role in bands]
    data, flags = _METHODS[method](x, y, chosen, size, progress_bar=progress_bar)
    present = _has_structure(data)
    data[~present] = 0
    flag_absent(flags, present)
    return Stamps(
        data,
        [given[role].filter if role in given else role for role in bands],
        bands=bands,
        system=images.system,
        present=present,
        flags=flags,
        table=table,
    )


def _has_structure(data):
    """Whether stamps are neither constant nor empty: bool, shape (n, n_bands)."""
    pixels = data.reshape(*data.shape[:2], data.shape[2] * data.shape[3])
    # fmax and fmin ignore NaN; if all pixels are NaN, the comparison is False.
    return np.fmax.reduce(pixels, axis=-1) > np.fmin.reduce(pixels, axis=-1)
