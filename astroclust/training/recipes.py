# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training recipes."""

from dataclasses import dataclass
from math import isclose
from numbers import Integral
from pathlib import Path
from typing import Any

from astroclust.stamps import DAMAGE, NORMALIZATIONS
from astroclust.training.augmentation import AUGMENTATIONS

__all__ = ["LEGUS_MIX", "RECIPES", "Recipe", "find_recipe"]


@dataclass(frozen=True)
class Recipe:
    """Training recipe; the defaults are those of ``simulated-3``.

    Parameters
    ----------
    architecture : str, optional
        Architecture of the network; see `~astroclust.networks.create_network`.
    weights : str or `~pathlib.Path`, optional
        Initial weights; see `~astroclust.networks.create_network`.
    normalization : str, optional
        Normalization of the pixels; see `~astroclust.stamps.normalize_stamps`.
    augmentation : str, optional
        One of `~astroclust.training.AUGMENTATIONS`.
    damage : tuple of str, optional
        Kinds of `~astroclust.stamps.DAMAGE` to make the network robust against: after the
        augmentation, half of the stamps lose up to half of their pixels in one of these ways. By
        default, there is no damage.
    optimizer : str, optional
        ``"adamw"``, ``"adam"``, or ``"sgd"``, stochastic gradient descent with a momentum of 0.9.
    learning_rate : float, optional
        Maximum learning rate.
    weight_decay : float, optional
        Weight decay of the optimizer.
    schedule : str, optional
        ``"one-cycle"``: the learning rate rises once and falls once; or ``"constant"``.
    batch_size : int, optional
        Number of stamps per step.
    epochs : int, optional
        Number of passes through the training set.
    batches : int or None, optional
        Number of steps; overrides ``epochs``.
    label_smoothing : float, optional
        Fraction of each label that is spread over all classes.
    class_mix : str or tuple of float, optional
        Class fractions in the loss, to which each sample is weighted: ``"equal"``, so that rare
        classes count as much as others, or one number per class, such as `LEGUS_MIX`. By default,
        those of the samples, which then act as priors of the class probabilities in new fields.
    moving_average : bool, optional
        Whether the weights are averaged over the last seventh of the steps.
    validation_fraction : float, optional
        Fraction of the stamps in the validation set, used for early stopping and to calibrate the
        class probabilities.
    patience : int or None, optional
        Number of epochs without a lower validation loss after which training stops; the weights
        are then those of the lowest loss.
    keep_best : bool, optional
        Whether to use the weights of the epoch with the highest accuracy on the validation set (the
        first such epoch) instead of the last ones. Without a validation set, the test set selects
        the epoch, as in Schneider et al. (2023, sec. 4.1), and its scores are too good.
    frozen : int, optional
        Number of frozen blocks, counted from the input of the network, including the statistics of
        their batch normalization.
    block_decay : float, optional
        Factor on the learning rate from each block to the one before it.
    mixed_precision : bool or None, optional
        Whether to compute in 16 bits where sufficient: bfloat16 halves the time on CPUs with
        instructions for it, such as AVX-512 BF16, and is slower on others. By default, only GPUs
        do. With False, all computations are in 32 bits, as in Wei et al. (2020).
    max_missing_bands : int or None, optional
        Maximum number of missing bands when the classifier is used; by default all but one, as
        the augmentation ``"observations"`` removes up to that many.

    Examples
    --------
    >>> from astroclust.training import Recipe
    >>> Recipe(architecture="starcnet", epochs=30).learning_rate
    0.002
    >>> Recipe(optimizer="lbfgs")
    Traceback (most recent call last):
        ...
    ValueError: unknown optimizer 'lbfgs'; available are adamw, adam, sgd
    """

    architecture: str = "native"
    weights: str | Path | None = None
    normalization: str = "asinh-peak"
    augmentation: str = "observations"
    damage: tuple[str, ...] = ()
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    schedule: str = "one-cycle"
    batch_size: int = 64
    epochs: int = 16
    batches: int | None = None
    label_smoothing: float = 0.03
    class_mix: str | tuple[float, ...] | None = None
    moving_average: bool = True
    validation_fraction: float = 0.1
    patience: int | None = None
    keep_best: bool = False
    frozen: int = 0
    block_decay: float = 1.0
    mixed_precision: bool | None = None
    max_missing_bands: int | None = None

    def __post_init__(self) -> None:
        """Validate the parameters."""
        for name, known in (
            ("optimizer", ("adamw", "adam", "sgd")),
            ("schedule", ("one-cycle", "constant")),
            ("augmentation", tuple(AUGMENTATIONS)),
            ("normalization", tuple(NORMALIZATIONS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; available are {', '.join(known)}"
                )
        for name in ("epochs", "batches"):
            _check_length(name, getattr(self, name))
        if isinstance(self.damage, str) or not set(self.damage) <= set(DAMAGE):
            raise ValueError(
                f"damage must be a tuple of kinds, such as {tuple(DAMAGE)}, not {self.damage!r}"
            )
        _check_mix(self.class_mix)
        if self.keep_best and self.patience is not None:
            raise ValueError(
                "keep_best selects the epoch of the highest accuracy, but patience that of the "
                "lowest loss; omit one of them"
            )
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(
                "validation_fraction must be at least 0 and below 1, not "
                f"{self.validation_fraction}"
            )
        if self.patience is None:
            return
        if not (isinstance(self.patience, Integral) and self.patience >= 1):
            raise ValueError(f"patience must be at least one epoch, not {self.patience!r}")
        if not self.validation_fraction:
            raise ValueError(
                "patience requires a validation_fraction above 0, as in the recipes native, "
                "fine-tune and human-labels"
            )


def _check_length(name, number):
    """Check the number of epochs or batches."""
    if number is not None and not (isinstance(number, Integral) and number >= 1):
        raise ValueError(f"{name} must be a whole number, at least 1, not {number!r}")


def _check_mix(mix):
    """Check the class fractions of a recipe."""
    if mix is None or mix == "equal":
        return
    if isinstance(mix, str) or not (all(one > 0 for one in mix) and isclose(sum(mix), 1)):
        raise ValueError(
            f'class_mix must be "equal" or fractions above 0 that sum to 1, one per class, not '
            f"{mix!r}"
        )


_WEI2020: dict[str, Any] = {
    "normalization": "unit-stamp",
    "augmentation": "turns",
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "batches": 10_000,
    "label_smoothing": 0.0,
    "moving_average": False,
    "validation_fraction": 0.0,
    "mixed_precision": False,
}
#: Class fractions of LEGUS: the mean over its galaxies with human labels, weighted by the square
#: root of their number (``benchmarks/real_labels.py``, ``class_mix``).
LEGUS_MIX = (0.149, 0.188, 0.166, 0.497)
#: Recipes by name: ``"native"``, that of ``simulated-3``; those of Wei et al. (2020, sec. 3.3 and
#: 3.4) for both of their networks; ``"fine-tune"``, with lower learning rates for a trained
#: classifier; and ``"human-labels"``, for small samples with label noise.
RECIPES = {
    "native": Recipe(),
    "wei2020": Recipe("resnet18", batch_size=32, **_WEI2020),
    "wei2020-vgg19": Recipe("vgg19_bn", batch_size=16, **_WEI2020),
    "fine-tune": Recipe(learning_rate=5e-4, epochs=20, block_decay=0.7),
    "human-labels": Recipe(learning_rate=1e-3, label_smoothing=0.1, class_mix=LEGUS_MIX),
}


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Find a recipe by name.

    Parameters
    ----------
    recipe : str or `Recipe`
        One of the names in `RECIPES`, or your own, which is returned unchanged.

    Returns
    -------
    recipe : `Recipe`
        The recipe; modify its parameters with `dataclasses.replace`.

    Raises
    ------
    TypeError
        If it is neither a name nor a `Recipe`.
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from astroclust.training import find_recipe
    >>> recipe = replace(find_recipe("fine-tune"), epochs=5)
    >>> recipe.epochs, recipe.learning_rate, recipe.block_decay
    (5, 0.0005, 0.7)
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise TypeError(f"recipe must be a name or a Recipe, not {recipe!r}")
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r}; available are {', '.join(RECIPES)}")
    return RECIPES[recipe]
