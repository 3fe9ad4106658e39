# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Write segmentation images."""

import numpy as np
from astropy.io import fits

from astroclust.files import replace_when_done
from astroclust.fits_structure import add_checksums

__all__ = ["write_segments"]


def write_segments(segments, path, *, wcs=None, overwrite=False):
    """Write a segmentation image to a FITS file.

    Parameters
    ----------
    segments : `~photutils.segmentation.SegmentationImage`, shape (ny, nx)
        Segmentation image from `find_sources`.
    path : str or `~pathlib.Path`
        The file.
    wcs : `~astropy.wcs.WCS`, optional
        Coordinates of the image; by default none are written.
    overwrite : bool, optional
        Whether the file may exist.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is false, or it cannot be written.

    Notes
    -----
    The image is int32, in the extension ``SEGMENTS``.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from astroclust import find_sources, simulate_field
    >>> from astroclust.detection import write_segments
    >>> image = simulate_field(shape=(128, 128), seed=1).images["F555W"]
    >>> sources, segments = find_sources(image, segmentation=True)
    >>> write_segments(segments, "segments.fits", wcs=image.wcs)
    >>> int(fits.getdata("segments.fits").max()) == len(sources)
    True
    """
    header = fits.Header() if wcs is None else wcs.to_header(relax=True)
    image = fits.ImageHDU(segments.data.astype(np.int32, copy=False), header, name="SEGMENTS")
    hdus = fits.HDUList([fits.PrimaryHDU(), image])
    add_checksums(hdus)
    with replace_when_done(path, overwrite=overwrite) as partial:
        hdus.writeto(partial)
