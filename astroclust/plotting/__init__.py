# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of fields, stamps, photometry, candidate selection, completeness and scores."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.plotting.detection import (
        plot_deblending,
        plot_detection,
        plot_precision_recall,
    )
    from astroclust.plotting.fields import plot_field
    from astroclust.plotting.images import (
        color_image,
        color_levels,
        plot_examples,
        plot_gallery,
        plot_reduced_input,
        plot_saliency,
    )
    from astroclust.plotting.magnitudes import (
        plot_color_color,
        plot_color_magnitude,
        plot_luminosity_function,
        plot_map,
    )
    from astroclust.plotting.samples import plot_ci_calibration, plot_completeness
    from astroclust.plotting.scores import (
        plot_agreement,
        plot_calibration,
        plot_class_distributions,
        plot_confusion,
        plot_confusion_panels,
        plot_damage,
        plot_entropy,
        plot_learning_curve,
    )
    from astroclust.plotting.tables import show_table

__all__ = [
    "color_image",
    "color_levels",
    "plot_agreement",
    "plot_calibration",
    "plot_ci_calibration",
    "plot_class_distributions",
    "plot_color_color",
    "plot_color_magnitude",
    "plot_completeness",
    "plot_confusion",
    "plot_confusion_panels",
    "plot_damage",
    "plot_deblending",
    "plot_detection",
    "plot_entropy",
    "plot_examples",
    "plot_field",
    "plot_gallery",
    "plot_learning_curve",
    "plot_luminosity_function",
    "plot_map",
    "plot_precision_recall",
    "plot_reduced_input",
    "plot_saliency",
    "show_table",
]
