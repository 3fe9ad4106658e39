# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Registry of the LEGUS fields: filters, distances, extinction, labels, and references."""

import difflib
import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from astroclust.data_files import read_data
from astroclust.instruments import LEGUS_BANDS

__all__ = ["LegusField", "find_field", "legus_fields", "plain_name"]

# Common names that do not contain the name of the field.
_ALIASES = {"m51": "ngc5194-ngc5195-mosaic", "m74c": "ngc628-c", "m74e": "ngc628-e"}


@dataclass(frozen=True)
class LegusField:
    """Properties of a LEGUS field; `None` or NaN if unknown.

    Parameters
    ----------
    name : str
        Name in the archive, such as ``"ngc628-c"``.
    galaxy : str
        Name of the galaxy, such as ``"NGC 628"``.
    filters, cameras : tuple of str
        Filter and camera (``"uvis"`` or ``"acs"``) of each band of
        `~astroclust.instruments.LEGUS_BANDS`; None for a band whose camera is unknown.
    distance : float
        Distance adopted by LEGUS, in Mpc.
    extinction : tuple of float
        Galactic extinction in each band, in mag.
    ci_cut : float
        Minimum concentration index of candidates, in mag.
    label_columns : tuple of str
        Last columns of the catalog, if they differ from those of most fields.
    labels : str or None
        Origin of the classes in the catalog: ``"consensus"`` of three people, a ``"single"``
        person, or ``"hybrid"`` of people and a network.
    catalog : str or None
        Path of the catalog in the LEGUS folder of the archive; None if there is none.
    image_name : str
        Name of the field in the file names of its images.
    table_1, table_2 : tuple of int or None
        Numbers of classes 1 to 4 in Tables 1 and 2 of Wei et al. (2020).
    notes : str
        Inferred values and conflicting sources.

    Examples
    --------
    >>> from astroclust import find_field
    >>> field = find_field("ngc1566")
    >>> field.galaxy, field.distance, field.ci_cut
    ('NGC 1566', 18.0, 1.35)
    >>> field.image_file("F555W", "uvis")
    'hlsp_legus_hst_uvis_ngc1566_f555w_v1_drc.fits'
    """

    name: str
    galaxy: str
    filters: tuple[str, ...]
    cameras: tuple[str | None, ...]
    distance: float
    extinction: tuple[float, ...]
    ci_cut: float
    label_columns: tuple[str, ...]
    labels: str | None
    catalog: str | None
    image_name: str
    table_1: tuple[int, ...] | None
    table_2: tuple[int, ...] | None
    notes: str

    @property
    def catalog_file(self) -> str:
        """File name of the catalog in the archive, whether or not it exists."""
        if self.catalog is not None:
            return self.catalog.rpartition("/")[2]
        return _catalog_file(self.name, "acs-wfc3" if "acs" in self.cameras else "wfc3", "v1")

    def image_file(self, filter_name: str, camera: str) -> str:
        """File name of an image in the archive.

        Parameters
        ----------
        filter_name, camera : str
            Filter and camera, such as ``"F555W"`` and ``"uvis"``.

        Returns
        -------
        name : str
            File name, such as ``"hlsp_legus_hst_uvis_ngc1566_f555w_v1_drc.fits"``.
        """
        ending = "v1_drc"
        if self.name.endswith("-mosaic"):
            camera, ending = {"uvis": "wfc3"}.get(camera, camera), "v1_sci"
        return f"hlsp_legus_hst_{camera}_{self.image_name}_{filter_name.lower()}_{ending}.fits"


def legus_fields():
    """All LEGUS fields: 63 fields in 50 galaxies, and the mosaic of M51.

    Returns
    -------
    fields : dict of str to `LegusField`
        Fields by name, in alphabetical order. References are in the metadata and columns of
        ``astroclust/data/legus_fields.ecsv``.

    Examples
    --------
    >>> from astroclust.catalogs import legus_fields
    >>> legus_fields()["ngc5474"].filters
    ('F275W', 'F336W', 'F438W', 'F606W', 'F814W')
    """
    return dict(_read_fields())  # a copy: callers may change it


@cache
def _read_fields():
    return {row["field"]: _field(row) for row in read_data("legus_fields")}


def _field(row):
    roles = [role.lower() for role in LEGUS_BANDS.roles]
    catalog = None
    if row["catalog_tag"] is not np.ma.masked:
        name = _catalog_file(row["field"], row["catalog_tag"], row["catalog_version"])
        catalog = f"{row['catalog_folder']}/{name}"
    return LegusField(
        name=str(row["field"]),
        galaxy=str(row["galaxy"]),
        filters=tuple(_text(row[f"filter_{role}"]) for role in roles),
        cameras=tuple(_text(row[f"camera_{role}"]) for role in roles),
        distance=_number(row["distance"]),
        extinction=tuple(_number(row[f"ext_{role}"]) for role in roles),
        ci_cut=_number(row["ci_cut"]),
        label_columns=tuple((_text(row["label_columns"]) or "").split()),
        labels=_text(row["labels"]),
        catalog=catalog,
        image_name=str(row["image_name"]),
        table_1=_counts(row["table_1"]),
        table_2=_counts(row["table_2"]),
        notes=_text(row["notes"]) or "",
    )


def _catalog_file(field, tag, version):
    return f"hlsp_legus_hst_{tag}_{field}_multiband_{version}_padagb-mwext-avgapcor.tab"


def _number(value):
    return float("nan") if value is np.ma.masked else float(value)


def _text(value):
    return None if value is np.ma.masked else str(value)


def _counts(value):
    return None if value is np.ma.masked else tuple(int(part) for part in value.split("/"))


def find_field(name: str) -> LegusField:
    """Find a LEGUS field by name, in any common spelling.

    Parameters
    ----------
    name : str
        ``"ngc628-c"``, ``"NGC 628C"``, ``"ngc0628c"``, ``"M51"`` ...

    Returns
    -------
    field : `LegusField`
        The field.

    Raises
    ------
    KeyError
        If there is no such field; the message lists similar names.

    Examples
    --------
    >>> from astroclust import find_field
    >>> find_field("NGC 628C").name
    'ngc628-c'
    """
    fields = {plain_name(field): field for field in legus_fields()}
    plain = plain_name(name)
    plain = plain_name(_ALIASES.get(plain, plain))
    if plain in fields:
        return legus_fields()[fields[plain]]
    similar = [field for field in fields if re.fullmatch(re.escape(plain) + r"\D.*", field)]
    similar = similar or difflib.get_close_matches(plain, fields, n=4)
    hint = f": did you mean {', '.join(fields[field] for field in similar)}?" if similar else ""
    raise KeyError(f"LEGUS has no field {name!r}{hint or '; list_fields() lists all fields'}")


def plain_name(name):
    """Normalize a name to lower-case letters and digits, without leading zeros.

    Parameters
    ----------
    name : str
        Name of a galaxy or field, such as ``"NGC 0628-c"``.

    Returns
    -------
    plain : str
        Normalized name, such as ``"ngc628c"``.
    """
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9]", "", str(name).lower()))
