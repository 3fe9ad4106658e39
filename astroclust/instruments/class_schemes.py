# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Class schemes: classes of visual or automated classifications, with names and markers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astroclust.data_files import read_data
from astroclust.instruments.tables import FrozenDict, find_named, value_of

__all__ = [
    "LEGUS_CLASSES",
    "ClassScheme",
    "classes_of",
    "find_class_scheme",
    "meta_of",
    "register_class_scheme",
]

# Default colors and markers of classes (Okabe & Ito 2008).
_COLORS = ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#009E73", "#D55E00", "#0072B2")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAPPINGS = ("names", "merges", "colors", "markers")
# Parameters that define the meaning of classes, not their plotting style.
_MEANING = ("names", "clusters", "merges")
# The column of classes holds 16-bit integers.
_LARGEST = 32767


@dataclass(frozen=True)
class ClassScheme:
    """Classes of a survey or classifier.

    Parameters
    ----------
    name : str
        Name, such as ``"legus"``.
    names : mapping of int to str
        Numbers and names of the classes, in the order of the classifier outputs.
    clusters : sequence of int
        Classes that count as clusters.
    merges : mapping of int to int, optional
        Other labels, such as artifact codes, and the class that each is merged into.
    colors, markers : mapping of int to str, optional
        Matplotlib color and marker of each class.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or numbers, names, merges, colors or markers are
        invalid.

    Examples
    --------
    >>> from astroclust.instruments import ClassScheme
    >>> scheme = ClassScheme("yes-no", {1: "cluster", 0: "other"}, clusters=[1], merges={2: 1})
    Traceback (most recent call last):
        ...
    ValueError: classes of yes-no must map whole numbers from 1 to 32767 to two or more names, ...
    >>> scheme = ClassScheme("yes-no", {1: "cluster", 2: "other"}, clusters=[1], merges={3: 2})
    >>> scheme.positions([1, 3, 2]).tolist()
    [0, 1, 1]
    """

    name: str
    names: Mapping[int, str]
    clusters: Sequence[int] = ()
    merges: Mapping[int, int] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    markers: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        freeze = partial(object.__setattr__, self)  # how a frozen dataclass is set up
        if not _is_text(self.name):
            raise ValueError(
                f"the name of a class scheme must be a single line of text, not {self.name!r}"
            )
        if not isinstance(self.names, Mapping) or not _are_names(self.names):
            raise ValueError(
                f"classes of {self.name} must map whole numbers from 1 to {_LARGEST} to two or "
                f"more names, not {self.names!r}"
            )
        numbers = [int(number) for number in self.names]
        freeze("names", FrozenDict(zip(numbers, self.names.values(), strict=True)))
        freeze("clusters", tuple(int(number) for number in self.clusters))
        wrong = [label for label in self.merges if not _is_whole(label) or label in numbers]
        if wrong:
            raise ValueError(
                f"merges of {self.name} has {wrong}; map whole numbers that are not classes to "
                f"some of {numbers}"
            )
        freeze("merges", FrozenDict({int(k): int(v) for k, v in self.merges.items()}))
        unknown = sorted({*self.clusters, *self.merges.values()} - set(numbers))
        if unknown:
            raise ValueError(f"{unknown} are not classes of {self.name}, {numbers}")
        for entry, defaults in (("colors", _COLORS), ("markers", _MARKERS)):
            given = {int(number): text for number, text in getattr(self, entry).items()}
            if set(given) - set(numbers) or not all(map(_is_text, given.values())):
                raise ValueError(
                    f"{entry} of {self.name} must map some of the classes {numbers} to text, not "
                    f"{getattr(self, entry)!r}"
                )
            usual = {n: defaults[i % len(defaults)] for i, n in enumerate(numbers)}
            freeze(entry, FrozenDict({**usual, **given}))

    def __len__(self) -> int:
        return len(self.names)

    def __hash__(self) -> int:
        return hash((self.name, self.numbers))

    @property
    def content(self) -> dict[str, Any]:
        """Parameters as plain numbers, strings, lists and dicts with string keys, for JSON."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in _MAPPINGS:
            content[name] = {str(number): value for number, value in content[name].items()}
        return {**content, "clusters": list(self.clusters)}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "ClassScheme":
        """Class scheme from its `content`; raise `ValueError` if it is invalid."""
        if not isinstance(content, Mapping) or not {"name", "names"} <= set(content):
            raise ValueError("a class scheme must have the entries name and names, by number")
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(content) - set(known))
        if unknown:
            raise ValueError(f"unknown entries {', '.join(unknown)}; valid are {', '.join(known)}")
        given = [name for name in _MAPPINGS if name in content]
        return cls(**{**content, **{name: _by_number(content[name]) for name in given}})

    @property
    def numbers(self) -> tuple[int, ...]:
        """Class numbers, in the order of the classifier outputs."""
        return tuple(self.names)

    def positions(self, labels: ArrayLike) -> NDArray[np.int_]:
        """0-based positions of labels among the classifier outputs.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            Class numbers, or labels in ``merges``.

        Returns
        -------
        positions : `~numpy.ndarray` of int, shape (n,)
            Columns of the class probabilities.

        Raises
        ------
        ValueError
            If labels are masked or not in this scheme; the message lists them.
        """
        if np.ma.is_masked(labels):
            raise ValueError(
                f"labels has {np.ma.count_masked(labels)} masked values; exclude those rows"
            )
        labels = np.asarray(np.ma.getdata(labels))
        known = {number: i for i, number in enumerate(self.numbers)}
        known |= {label: known[number] for label, number in self.merges.items()}
        unique, inverse = np.unique(labels, return_inverse=True)
        unknown = [value for value in unique.tolist() if value not in known]
        if unknown:
            hint = "; 0 means not inspected, exclude those rows" if 0 in unknown else ""
            raise ValueError(
                f"labels {unknown} are not classes of {self.name}, {list(self.numbers)}{hint}"
            )
        columns = np.array([known[value] for value in unique.tolist()], int)
        return columns[inverse].reshape(labels.shape)

    def knows(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Whether labels are classes of this scheme, or merge into one.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            Any labels; False for masked ones.

        Returns
        -------
        known : `~numpy.ndarray` of bool, shape (n,)
            True for labels that `positions` accepts.
        """
        labels = np.ma.asarray(labels)
        known = np.isin(labels.data, [*self.numbers, *self.merges])
        return known & ~np.ma.getmaskarray(labels)

    def numbers_of(self, positions: np.ndarray) -> NDArray[np.int16]:
        """Class numbers, int16, of positions among the classifier outputs."""
        return np.array(self.numbers, np.int16)[positions]

    def most_probable(self, probabilities: ArrayLike) -> NDArray[np.int16]:
        """Number of the most probable class in each row of probabilities, int16."""
        return self.numbers_of(np.argmax(probabilities, axis=-1))

    def is_cluster(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Whether labels count as clusters; False for labels that are not in the scheme."""
        merged = [label for label, number in self.merges.items() if number in self.clusters]
        return np.isin(np.ma.filled(labels, 0), [*self.clusters, *merged])


def _by_number(mapping):
    """Convert the string keys of a JSON mapping to integers."""
    if not all(key.isdecimal() and str(int(key)) == key for key in mapping):
        raise ValueError(f"{list(mapping)} are not all whole numbers")
    return {int(key): value for key, value in mapping.items()}


def _are_names(names):
    return len(names) > 1 and all(
        _is_whole(number) and 1 <= number <= _LARGEST and _is_text(name)
        for number, name in names.items()
    )


def _is_whole(number):
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _is_text(text):
    """Whether a value is a non-blank single line of text."""
    return isinstance(text, str) and bool(text.strip()) and text.isprintable()


_REGISTERED: dict[str, ClassScheme] = {}


@cache
def _bundled():
    table = read_data("class_schemes")
    names = dict.fromkeys(table["scheme"].tolist())
    return {name: _from_rows(name, table[table["scheme"] == name]) for name in names}


def _from_rows(name, rows):
    merges = {int(row["number"]): value_of(row, "merged_into") for row in rows}
    own = [row for row in rows if merges[row["number"]] is None]
    return ClassScheme(
        name,
        {int(row["number"]): str(row["name"]) for row in own},
        clusters=[int(row["number"]) for row in own if row["is_cluster"]],
        merges={label: number for label, number in merges.items() if number is not None},
        colors={int(row["number"]): str(row["color"]) for row in own},
        markers={int(row["number"]): str(row["marker"]) for row in own},
    )


def register_class_scheme(scheme):
    """Register a class scheme by its name, for this process.

    Parameters
    ----------
    scheme : `ClassScheme`
        The scheme, which replaces any of the same name.

    Examples
    --------
    >>> from astroclust.instruments import ClassScheme, find_class_scheme, register_class_scheme
    >>> scheme = ClassScheme("young-old", {1: "young", 2: "old", 3: "star"}, clusters=[1, 2])
    >>> register_class_scheme(scheme)
    >>> find_class_scheme("young-old").numbers
    (1, 2, 3)
    """
    if not isinstance(scheme, ClassScheme):
        raise TypeError(f"scheme must be a ClassScheme, not {scheme!r}")
    _REGISTERED[scheme.name] = scheme


def find_class_scheme(scheme: str | ClassScheme) -> ClassScheme:
    """Find a class scheme.

    Parameters
    ----------
    scheme : str or `ClassScheme`
        ``"legus"``, ``"phangs"``, ``"cluster"`` (cluster or not) or the name of a registered
        scheme; or a JSON file with the parameters of `ClassScheme`, such as its ``content``. A
        `ClassScheme` is returned unchanged.

    Returns
    -------
    scheme : `ClassScheme`
        The scheme.

    Raises
    ------
    KeyError
        If the name is unknown.
    OSError, ValueError
        If the file cannot be read, or does not describe a class scheme.

    Examples
    --------
    >>> from astroclust.instruments import find_class_scheme
    >>> find_class_scheme("phangs").positions([1, 9, 19]).tolist()
    [0, 3, 3]
    """
    if isinstance(scheme, ClassScheme):
        return scheme
    known = {**_bundled(), **_REGISTERED}
    return find_named(scheme, known, ClassScheme.from_content, "class scheme")


#: The classes of LEGUS (Adamo et al. 2017; Wei et al. 2020, sec. 2).
LEGUS_CLASSES = find_class_scheme("legus")


def classes_of(table, column_prefix=""):
    """Class scheme of a classified table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A table with metadata from `~astroclust.classification.classify_table` or `meta_of`, or
        with the name of a bundled or registered scheme as ``SCHEME``.
    column_prefix : str, optional
        Prefix of the class columns; each prefix can have its own scheme.

    Returns
    -------
    scheme : `ClassScheme`
        Scheme of these columns, with the colors and markers of the registered scheme if that has
        the same classes; by default that of LEGUS.

    Raises
    ------
    KeyError
        If the name in ``SCHEME`` is unknown.
    ValueError
        If the metadata are damaged.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.instruments import classes_of
    >>> classes_of(Table({"class": [1, 4]})).name
    'legus'
    """
    content = _contents(table.meta).get(column_prefix)
    if content is None:
        return LEGUS_CLASSES
    try:
        scheme = ClassScheme.from_content(content)
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged(error) from error
    known = {**_bundled(), **_REGISTERED}.get(scheme.name, scheme)
    same = all(getattr(known, name) == getattr(scheme, name) for name in ("numbers", *_MEANING))
    return known if same else scheme


def meta_of(scheme, *, column_prefix="", meta=None):
    """Metadata from which `classes_of` restores a scheme, as flat ASCII for FITS headers.

    Parameters
    ----------
    scheme : `ClassScheme`
        The scheme.
    column_prefix : str, optional
        Prefix of its class columns.
    meta : mapping, optional
        Metadata of the table; schemes of other columns are kept.

    Returns
    -------
    meta : dict of str to str
        ``CLASSES``, JSON with the parameters of each scheme by prefix; and ``SCHEME``, the name of
        the scheme without a prefix.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.instruments import classes_of, find_class_scheme, meta_of
    >>> meta = meta_of(find_class_scheme("cluster"))
    >>> meta["SCHEME"], classes_of(Table(meta=meta)).numbers
    ('cluster', (1, 4))
    """
    contents = {**_contents(meta or {}), column_prefix: scheme.content}
    result = {"CLASSES": json.dumps(contents)}
    if "" in contents:
        name = contents[""]["name"]
        result["SCHEME"] = name.encode("ascii", "backslashreplace").decode()
    return result


def _contents(meta):
    """Parameters of the schemes of a table by column prefix."""
    text = meta.get("CLASSES")
    if isinstance(text, str) and text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise _damaged(error) from error
    return {"": find_class_scheme(meta["SCHEME"]).content} if "SCHEME" in meta else {}


def _damaged(error):
    return ValueError(
        f"CLASSES in the table metadata does not describe class schemes ({error}); delete it and "
        "set SCHEME to the name of a scheme, or classify the table again"
    )
