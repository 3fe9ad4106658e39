# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Flag bits with descriptions."""

from collections.abc import Sequence
from enum import IntFlag
from typing import Any, Self, overload

import numpy as np

__all__ = ["DescribedFlag"]


class DescribedFlag(IntFlag):
    """Base class of flags whose members are bits with a description.

    Examples
    --------
    >>> from astroclust.flags import DescribedFlag
    >>> class Quality(DescribedFlag):
    ...     BLENDED = 1, "another source is within an arcsecond"
    ...     VARIABLE = 2, "the flux changes from exposure to exposure"
    >>> Quality.VARIABLE.description
    'the flux changes from exposure to exposure'
    >>> Quality.decode([0, 3])
    [[], ['BLENDED', 'VARIABLE']]
    """

    _description: str

    def __new__(cls, value: int, description: str) -> Self:
        """Create a member with its description."""
        member = int.__new__(cls, value)
        member._value_ = value
        member._description = description
        return member

    @property
    def description(self) -> str:
        """Description of the bit, or of all bits that are set."""
        return "; ".join(flag._description for flag in self)

    @classmethod
    def describe(cls) -> list[tuple[int, str, str]]:
        """Bit, name and description of each member.

        Returns
        -------
        rows : list of tuple
            One tuple per member, in the order of the bits.
        """
        return [(flag.value, str(flag.name), flag.description) for flag in cls]

    @overload
    @classmethod
    def decode(cls, values: int | np.integer) -> list[str]: ...

    @overload
    @classmethod
    def decode(cls, values: Sequence[int] | np.ndarray) -> list[list[str]]: ...

    @classmethod
    def decode(cls, values: Any) -> list[str] | list[list[str]]:
        """Names of the bits that are set.

        Parameters
        ----------
        values : int or array_like of int, shape (n,)
            Values of a column of flags.

        Returns
        -------
        names : list of str, or list of n such lists
            In the order of the bits.

        Raises
        ------
        ValueError
            If an undefined bit is set.
        """
        if np.ndim(values):
            return [cls.decode(int(value)) for value in np.asarray(values)]
        known = sum(cls)
        if values < 0 or values & ~known:
            raise ValueError(f"flags {values} has undefined bits (all defined bits: {known})")
        return [str(flag.name) for flag in cls if values & flag]
