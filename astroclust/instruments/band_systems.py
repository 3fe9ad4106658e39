# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Band systems: the ordered bands of a survey and their filters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, partial
from numbers import Real
from typing import Any

from astropy import units as u

from astroclust.data_files import read_data
from astroclust.instruments.tables import FrozenDict, find_named, value_of

__all__ = ["LEGUS_BANDS", "BandSystem", "find_band_system", "register_band_system"]


@dataclass(frozen=True)
class BandSystem:
    """The bands of a survey.

    Parameters
    ----------
    name : str
        Name, such as ``"legus"``.
    roles : sequence of str
        Roles of the bands, such as ``"V"``, from short to long wavelengths.
    filters : mapping of str to str
        Filters and their roles.
    pixel_scale : float
        Pixel scale of the mosaics, in arcsec.
    reference : sequence of str, optional
        Roles in order of preference for the reference band; the other roles follow, from the
        middle of the system outward.
    unit : str, optional
        Unit that images are converted to: ``"electron / s"``, or ``"Jy"`` for flux densities, to
        combine bands of different telescopes.
    defaults : mapping of str to pair of str, optional
        Roles to camera and filter of simulated images.
    stars : sequence of mapping, optional
        Signal-to-noise ratios of model stars by role, used to weight the bands in white-light
        images; by default bands are weighted by their noise.

    Raises
    ------
    ValueError
        If roles are missing, given twice or unknown, or another parameter is invalid.

    Examples
    --------
    LEGUS's bands and H-alpha:

    >>> from astroclust.instruments import LEGUS_BANDS, BandSystem
    >>> system = BandSystem(
    ...     "legus-halpha",
    ...     roles=("NUV", "U", "B", "V", "HA", "I"),
    ...     filters={**LEGUS_BANDS.filters, "F657N": "HA", "F658N": "HA"},
    ...     pixel_scale=0.0396,
    ...     reference=LEGUS_BANDS.reference,
    ...     defaults={**LEGUS_BANDS.defaults, "HA": ("uvis", "F657N")},
    ... )
    >>> system.index("HA"), system.reference[0]
    (4, 'V')
    """

    name: str
    roles: Sequence[str]
    filters: Mapping[str, str]
    pixel_scale: float
    reference: Sequence[str] = ()
    unit: str = "electron / s"
    defaults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stars: Sequence[Mapping[str, float]] = ()

    def __post_init__(self) -> None:
        freeze = partial(object.__setattr__, self)  # how a frozen dataclass is set up
        for what in ("roles", "reference"):
            if isinstance(getattr(self, what), str):
                raise ValueError(
                    f"{what} must be a list of names, such as ['V', 'I'], not "
                    f"{getattr(self, what)!r}"
                )
        freeze("roles", tuple(_key(role) for role in self.roles))
        freeze("filters", FrozenDict(_upper(self.filters)))
        reference = (*map(_key, self.reference), *self._by_middle())
        freeze("reference", tuple(dict.fromkeys(reference)))
        defaults = {role: _pair(pair) for role, pair in _upper(self.defaults).items()}
        freeze("defaults", FrozenDict(defaults))
        freeze("stars", tuple(FrozenDict(_upper(star)) for star in self.stars))
        freeze("unit", str(self.unit))
        self._check()
        freeze("pixel_scale", float(self.pixel_scale))

    def _check(self):
        if not self.roles or len(set(self.roles)) < len(self.roles):
            raise ValueError(f"roles must be one or more different names, not {self.roles!r}")
        for name in (self.name, *self.roles, *self.filters):
            if not (isinstance(name, str) and name.strip() and name.isascii()):
                raise ValueError(
                    f"{name!r} is not a valid name for a band system, role or filter; use ASCII "
                    "letters, such as 'HA', which FITS can store"
                )
        wrong = [pair for pair in self.defaults.values() if not _are_two_names(pair)]
        if wrong:
            raise ValueError(
                f"defaults has {wrong[0]!r}; map each role to a camera and a filter, such as "
                "('uvis', 'F657N')"
            )
        given = {
            "filters": self.filters.values(),
            "reference": self.reference,
            "defaults": self.defaults,
            "stars": [role for star in self.stars for role in star],
        }
        for what, roles in given.items():
            unknown = sorted(set(roles) - set(self.roles))
            if unknown:
                raise ValueError(
                    f"{what} has {unknown}, which is not one of the roles {self.roles}"
                )
        if not isinstance(self.pixel_scale, Real) or not 0.001 <= self.pixel_scale <= 10:
            raise ValueError(f"pixel_scale must be 0.001 to 10 arcsec, not {self.pixel_scale!r}")
        unit = u.Unit(self.unit)
        if unit != u.electron / u.s and not unit.is_equivalent(u.Jy):
            raise ValueError(
                "unit must be 'electron / s' or a unit of flux density such as 'Jy', not "
                f"{self.unit!r}"
            )

    def _by_middle(self):
        middle = len(self.roles) // 2
        return tuple(sorted(self.roles, key=lambda role: abs(self.roles.index(role) - middle)))

    def __len__(self) -> int:
        return len(self.roles)

    def __hash__(self) -> int:
        return hash((self.name, self.roles, self.pixel_scale))

    @property
    def content(self) -> dict[str, Any]:
        """Parameters as plain numbers, strings, lists and dicts, for JSON."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        content |= {"filters": dict(self.filters), "stars": [dict(star) for star in self.stars]}
        content["defaults"] = {role: list(pair) for role, pair in self.defaults.items()}
        return {**content, "roles": list(self.roles), "reference": list(self.reference)}

    @property
    def header(self) -> dict[str, str]:
        """Header keyword from which `of_header` restores the system."""
        return {"BANDSYS": json.dumps(self.content)}

    @classmethod
    def of_header(cls, header: Mapping[str, Any]) -> "BandSystem":
        """Band system described in a header, or that of LEGUS if there is none.

        Raises
        ------
        ValueError
            If the description is damaged.
        """
        if "BANDSYS" not in header:
            return LEGUS_BANDS
        try:
            return cls.from_content(json.loads(header["BANDSYS"]))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"header keyword BANDSYS does not describe a band system ({error}); delete it to "
                "use the bands of LEGUS, or write the file again"
            ) from error

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "BandSystem":
        """Band system from its `content`; raise `ValueError` if it is invalid."""
        known = [item.name for item in fields(cls)]
        if not isinstance(content, Mapping) or not set(known[:4]) <= set(content):
            raise ValueError(f"a band system must have the entries {', '.join(known[:4])}")
        unknown = sorted(set(content) - set(known))
        if unknown:
            raise ValueError(f"unknown entries {', '.join(unknown)}; valid are {', '.join(known)}")
        return cls(**content)

    def index(self, role: str) -> int:
        """Number of a role, from 0.

        Raises
        ------
        ValueError
            If the system has no such role.
        """
        if _key(role) not in self.roles:
            raise ValueError(f"role {role!r} is not one of {self.name}: {', '.join(self.roles)}")
        return self.roles.index(_key(role))

    def select(self, roles: Sequence[str] | None) -> tuple[str, ...]:
        """Validate a selection of roles.

        Parameters
        ----------
        roles : sequence of str or None
            Roles of this system; all if None.

        Returns
        -------
        roles : tuple of str
            The same roles, in the same order.

        Raises
        ------
        ValueError
            If a role is unknown or given twice.
        """
        roles = tuple(self.roles) if roles is None else tuple(map(_key, roles))
        unknown = [role for role in roles if role not in self.roles]
        if unknown or len(set(roles)) < len(roles) or not roles:
            raise ValueError(
                f"bands {list(roles)} must be different roles of {self.name}: "
                f"{', '.join(self.roles)}"
            )
        return roles

    def channel(self, role: str) -> int:
        """Color channel of a role: 0 red, 1 green, 2 blue (Wei et al. 2020, Fig. 1)."""
        return 2 - 3 * self.index(role) // len(self.roles)


def _key(name):
    return str(name).strip().upper()


def _upper(mapping):
    upper = {
        _key(name): _key(value) if isinstance(value, str) else value
        for name, value in mapping.items()
    }
    if len(upper) < len(mapping):
        raise ValueError(f"{list(mapping)} has names that differ only by case; remove one of them")
    return upper


def _pair(names):
    """Camera and filter, spelled as in the table of filters."""
    names = names if isinstance(names, str) else tuple(names)
    return (names[0].lower(), names[1].upper()) if _are_two_names(names) else names


def _are_two_names(pair):
    return isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(one, str) for one in pair)


# Columns with signal-to-noise ratios of model stars.
_STARS = ("blue_star", "red_star")
_REGISTERED: dict[str, BandSystem] = {}


@cache
def _bundled():
    table = read_data("band_systems")
    names = dict.fromkeys(table["system"].tolist())
    return {name: _from_rows(name, table[table["system"] == name]) for name in names}


def _from_rows(name, rows):
    stars = [{str(row["role"]): value_of(row, star) for row in rows} for star in _STARS]
    ranked = sorted(rows, key=lambda row: row["reference"])
    return BandSystem(
        name,
        roles=rows["role"].tolist(),
        filters={each: str(row["role"]) for row in rows for each in row["filters"].split()},
        pixel_scale=value_of(rows[0], "pixel_scale"),
        reference=[str(row["role"]) for row in ranked],
        unit=value_of(rows[0], "unit"),
        defaults={row["role"]: (str(row["camera"]), str(row["filter"])) for row in rows},
        stars=[star for star in stars if None not in star.values()],
    )


def register_band_system(system):
    """Register a band system by its name, for this process.

    Parameters
    ----------
    system : `BandSystem`
        The system, which replaces any of the same name.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from astroclust.instruments import LEGUS_BANDS, find_band_system, register_band_system
    >>> register_band_system(replace(LEGUS_BANDS, name="coarse", pixel_scale=0.1))
    >>> find_band_system("coarse").pixel_scale
    0.1
    """
    if not isinstance(system, BandSystem):
        raise TypeError(f"system must be a BandSystem, not {system!r}")
    _REGISTERED[system.name] = system


def find_band_system(system: str | BandSystem) -> BandSystem:
    """Find a band system.

    Parameters
    ----------
    system : str or `BandSystem`
        Name of a bundled or registered system, or a JSON file with the parameters of `BandSystem`,
        such as its ``content``. A `BandSystem` is returned unchanged.

    Returns
    -------
    system : `BandSystem`
        The system.

    Raises
    ------
    KeyError
        If the name is unknown.
    OSError, ValueError
        If the file cannot be read, or does not describe a band system.

    Examples
    --------
    >>> from astroclust.instruments import find_band_system
    >>> find_band_system("legus").roles
    ('NUV', 'U', 'B', 'V', 'I')
    """
    if isinstance(system, BandSystem):
        return system
    known = {**_bundled(), **_REGISTERED}
    return find_named(system, known, BandSystem.from_content, "band system")


#: The bands of LEGUS and PHANGS-HST: NUV, U, B, V and I (Wei et al. 2020, sec. 3.2).
LEGUS_BANDS = find_band_system("legus")
