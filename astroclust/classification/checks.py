# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Input validation."""

import warnings
from numbers import Integral

import torch
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["check_batch_size", "check_images", "check_pixel_scale", "choose_device"]


def choose_device(device):
    """Select a device, and check that it is available.

    Parameters
    ----------
    device : str or `~torch.device`
        ``"auto"`` for the GPU if there is one, else the CPU.

    Returns
    -------
    device : `~torch.device`
        Selected device.

    Raises
    ------
    ValueError
        If the device is not available.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); use 'auto' "
            "or 'cpu'"
        ) from None
    return chosen


def check_batch_size(batch_size):
    """Raise a `ValueError` if the batch size is not a positive integer."""
    if batch_size is not None and (not isinstance(batch_size, Integral) or batch_size < 1):
        raise ValueError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")


def check_images(images, card, *, field="the images"):
    """Check that images are suitable for a classifier.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Images of the field.
    card : `~astroclust.weights.ModelCard`
        Card of the classifier.
    field : str, optional
        Name of the images in messages.

    Raises
    ------
    ValueError
        If they have no band in common.

    Warns
    -----
    AstropyUserWarning
        If the pixel scale differs from that of the training set of the classifier.
    """
    if not set(images.roles) & set(card.bands):
        raise ValueError(
            f"classifier {card.name} uses bands {', '.join(card.bands)}, but the images only "
            f"have {', '.join(images.roles)}; choose another classifier, or add a band"
        )
    check_pixel_scale(
        images, f"classifier {card.name}", card.pixel_scale, field=field, stacklevel=4
    )


def check_pixel_scale(images, network, trained, *, field="the images", stacklevel=3):
    """Warn if the pixel scale of images differs from that of a training set.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Images of the field; without a WCS, their pixel scale is unknown.
    network : str
        Name of the network in messages.
    trained : float
        Pixel scale of its training set, in arcsec.
    field : str, optional
        Name of the images in messages.
    stacklevel : int, optional
        See `warnings.warn`.

    Warns
    -----
    AstropyUserWarning
        If the pixel scales differ by more than 10 percent.
    """
    if images.wcs is None:
        return
    scale = images.pixel_scale.value
    if not 0.9 < scale / trained < 1.1:
        warnings.warn(
            f"{field} have pixels of {scale:.4f} arcsec, but {network} was trained at {trained}; "
            "resample them, or do not trust the classes",
            AstropyUserWarning,
            stacklevel=stacklevel,
        )
