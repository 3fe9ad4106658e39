# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Reproduction of published studies, from data to a report."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.experiments.catalog_only import (
        classify_without_images,
        labeled_features,
        pool_with_images,
        reproduce_catalog_only,
        scores_by_field,
    )
    from astroclust.experiments.labeled_pictures import read_labeled
    from astroclust.experiments.pretraining import pretraining_study
    from astroclust.experiments.pretraining_scores import (
        accuracy_by_epochs,
        peak_accuracies,
        sign_test,
    )
    from astroclust.experiments.samples import labeled_stamps, sample_fields
    from astroclust.experiments.schneider2023 import reproduce_schneider2023
    from astroclust.experiments.splits import SPLIT_STUDIES, reproduce_split_study
    from astroclust.experiments.trained import report_training
    from astroclust.experiments.wei2020 import (
        WEI2020_LABELS,
        WEI2020_NETWORKS,
        reproduce_wei2020,
    )
    from astroclust.experiments.wei2020_pictures import (
        PICTURE_NETWORKS,
        read_picture_stamps,
        reproduce_on_pictures,
    )
    from astroclust.reports import Report

__all__ = [
    "PICTURE_NETWORKS",
    "SPLIT_STUDIES",
    "WEI2020_LABELS",
    "WEI2020_NETWORKS",
    "Report",
    "accuracy_by_epochs",
    "classify_without_images",
    "labeled_features",
    "labeled_stamps",
    "peak_accuracies",
    "pool_with_images",
    "pretraining_study",
    "read_labeled",
    "read_picture_stamps",
    "report_training",
    "reproduce_catalog_only",
    "reproduce_on_pictures",
    "reproduce_schneider2023",
    "reproduce_split_study",
    "reproduce_wei2020",
    "sample_fields",
    "scores_by_field",
    "sign_test",
]
