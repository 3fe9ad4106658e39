# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Flag bits with descriptions."""

from enum import IntFlag

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

    def __new__(cls, value, description):
        """Create a member with its description."""
        member = int.__new__(cls, value)
        member._value_ = value
        member._description = description
        return member

    @property
    def description(self):
        """Description of the bit, or of all bits that are set."""
        return "; ".join(flag._description for flag in self)

    @classmethod
    def describe(cls):
        """Bit, name and description of each member.

        Returns
        -------
        rows : list of tuple
            One tuple per member, in the order of the bits.
        """
        return [(flag.value, flag.name, flag.description) for flag in cls]

    @classmethod
    def decode(cls, values):
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
        return [flag.name for flag in cls if values & flag]
