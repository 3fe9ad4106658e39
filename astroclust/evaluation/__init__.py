# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Evaluation of classes, class probabilities and detected sources against labels."""

from astroclust.evaluation.comparison import accuracy_against, agreement, crowding
from astroclust.evaluation.confusion import (
    class_scores,
    confusion_matrix,
    match_labels,
    mean_and_scatter,
    mean_confusion,
)
from astroclust.evaluation.detection import DetectionScores, detection_scores
from astroclust.evaluation.kappa import Kappa, cohen_kappa, fleiss_kappa
from astroclust.evaluation.paired import PairedComparison, compare_classes
from astroclust.evaluation.probabilities import (
    calibration_curve,
    entropy_distribution,
    purity_curve,
    purity_threshold,
)
from astroclust.evaluation.trainings import mean_scores, paired_changes

__all__ = [
    "DetectionScores",
    "Kappa",
    "PairedComparison",
    "accuracy_against",
    "agreement",
    "calibration_curve",
    "class_scores",
    "cohen_kappa",
    "compare_classes",
    "confusion_matrix",
    "crowding",
    "detection_scores",
    "entropy_distribution",
    "fleiss_kappa",
    "match_labels",
    "mean_and_scatter",
    "mean_confusion",
    "mean_scores",
    "paired_changes",
    "purity_curve",
    "purity_threshold",
]
