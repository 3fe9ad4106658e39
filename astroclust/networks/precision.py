# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Arithmetic precision of networks."""

import torch
from torch import nn

__all__ = [
    "PRECISIONS",
    "check_precision",
    "choose_precision",
    "keep_exact",
    "mixed_precision",
]

#: Precisions in which networks can run.
PRECISIONS = ("float32", "bfloat16", "float16")


def check_precision(precision):
    """Check that a precision is ``"auto"`` or one of `PRECISIONS`.

    Parameters
    ----------
    precision : str
        The precision.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> from astroclust.networks import check_precision
    >>> check_precision("double")
    Traceback (most recent call last):
        ...
    ValueError: precision must be one of auto, float32, bfloat16, float16, not 'double'
    """
    if precision not in ("auto", *PRECISIONS):
        raise ValueError(
            f"precision must be one of auto, {', '.join(PRECISIONS)}, not {precision!r}"
        )


def choose_precision(device, precision="auto"):
    """Select a precision, and check that a device is fast in it.

    Parameters
    ----------
    device : `~torch.device`
        Device on which networks run.
    precision : str, optional
        One of `PRECISIONS`, or ``"auto"``: float16 on GPUs with tensor cores, bfloat16 on CPUs with
        instructions for it (AVX-512-BF16), and float32 on others. It depends only on the device,
        not on timing, so that results are reproducible.

    Returns
    -------
    precision : str
        One of `PRECISIONS`.

    Raises
    ------
    ValueError
        If the precision is unknown, or the device does not support it.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import choose_precision
    >>> choose_precision(torch.device("cpu"), "float32")
    'float32'
    """
    check_precision(precision)
    supported = _supported_precisions(device)
    if precision == "auto":
        return supported[-1]
    if precision not in supported:
        raise ValueError(
            f"this {device.type} does not support {precision}, only "
            f"{' and '.join(supported)}; use 'auto' or 'float32'"
        )
    return precision


def _supported_precisions(device):
    """Precisions in which a device is not slower than in float32, the best one last."""
    if device.type == "cpu":
        # Without these instructions, bfloat16 is emulated. CPUs with AMX also have them.
        fast = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
        return ("float32", "bfloat16") if fast else ("float32",)
    # Tensor cores, since Volta.
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        # As fast as bfloat16, and eight times as exact.
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("float32", "bfloat16", "float16") if fast else ("float32", "float16")
    return ("float32",)


def mixed_precision(device, precision):
    """Context in which networks run in a precision; see `torch.autocast`.

    Convolutions and matrix products run in it; sums, weights and sensitive operations stay in
    float32. Weights are converted once within a context.

    Parameters
    ----------
    device : `~torch.device`
        Device on which networks run.
    precision : str
        One of `PRECISIONS`.

    Returns
    -------
    context : context manager
        The context.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import mixed_precision
    >>> with mixed_precision(torch.device("cpu"), "bfloat16"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """
    dtype = getattr(torch, precision)
    return torch.autocast(device.type, dtype, enabled=precision != "float32")


def keep_exact(block):
    """Keep convolutions and linear layers in float32, also in mixed precision.

    Parameters
    ----------
    block : `~torch.nn.Module`
        Part of a network, modified in place.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import create_network, keep_exact, mixed_precision
    >>> network = create_network("native-small")
    >>> keep_exact(network.head)
    >>> with mixed_precision(torch.device("cpu"), "bfloat16"):
    ...     network(torch.zeros(2, 5, 50, 50), torch.ones(2, 5)).dtype
    torch.float32
    """
    for layer in block.modules():
        if type(layer) in _EXACT:
            layer.__class__ = _EXACT[type(layer)]


class _ExactConvolution(nn.Conv2d):
    """Convolution that is not affected by mixed precision."""

    def forward(self, pixels):
        with torch.autocast(pixels.device.type, enabled=False):
            return super().forward(pixels.to(self.weight))


class _ExactLinear(nn.Linear):
    """Linear layer that is not affected by mixed precision."""

    def forward(self, values):
        with torch.autocast(values.device.type, enabled=False):
            return super().forward(values.to(self.weight))


_EXACT = {nn.Conv2d: _ExactConvolution, nn.Linear: _ExactLinear}
