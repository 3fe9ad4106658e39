# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Types of arguments that several functions accept.

They are for annotations only: nothing here is imported at run time.
"""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from astropy.io import fits
    from astropy.nddata import NDData
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray
    from regions import Region, Regions

    from astroclust.images import Band
    from astroclust.weights import Classifier

__all__ = ["AreaLike", "ClassifierLike", "ImageLike", "ImagesLike", "RegionsLike"]

#: An image of one band; see `~astroclust.images.ImageSet`.
ImageLike: TypeAlias = (
    "NDData | fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU | fits.HDUList"
    " | str | Path | tuple[ArrayLike, WCS] | np.ndarray | Band"
)
#: Images of a field by filter or role; an `~astroclust.images.ImageSet` is such a mapping.
ImagesLike: TypeAlias = "Mapping[str, ImageLike]"
#: A DS9 region file, or regions.
RegionsLike: TypeAlias = "str | Path | Regions | Sequence[Region]"
#: An area of an image: regions, or a mask of its shape.
AreaLike: TypeAlias = "RegionsLike | NDArray[np.bool_]"
#: Name, path, URL or object; see `~astroclust.weights.load_classifier`.
ClassifierLike: TypeAlias = "str | Path | Classifier"
