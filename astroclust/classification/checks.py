# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What is made sure of before stamps are cut."""

import warnings
from numbers import Integral

import torch
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["check_batch_size", "check_images", "choose_device"]


def choose_device(device):
    """Make sure that networks can run somewhere.

    Parameters
    ----------
    device : str or `~torch.device`
        ``"auto"`` for the GPU where there is one, else the CPU.

    Returns
    -------
    device : `~torch.device`
        The device.

    Raises
    ------
    ValueError
        Where it cannot be used here.
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
    """Raise a `ValueError` where stamps cannot be taken so many at a time."""
    if batch_size is not None and (not isinstance(batch_size, Integral) or batch_size < 1):
        raise ValueError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")


def check_images(images, card, *, field="the images"):
    """Make sure that a classifier can do something with images.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    card : `~astroclust.weights.ModelCard`
        Of the classifier.
    field : str, optional
        What messages call the images.

    Raises
    ------
    ValueError
        Where they have no band in common.

    Warns
    -----
    AstropyUserWarning
        Where the pixels are not of the size that the classifier was trained for.
    """
    if not set(images.roles) & set(card.bands):
        raise ValueError(
            f"classifier {card.name} takes bands {', '.join(card.bands)}, the images have "
            f"{', '.join(images.roles)} only"
        )
    if images.wcs is None:
        return
    scale = images.pixel_scale.value
    if not 0.9 < scale / card.pixel_scale < 1.1:
        warnings.warn(
            f"{field} have pixels of {scale:.4f} arcsec, classifier {card.name} was trained at "
            f"{card.pixel_scale}: resample them, or do not trust the classes",
            AstropyUserWarning,
            stacklevel=3,
        )
