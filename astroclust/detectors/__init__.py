# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Networks that detect, classify and outline sources: Faster R-CNN and Mask R-CNN."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.detectors.cards import DetectorCard, check_detector_output
    from astroclust.detectors.detector import (
        DEFAULT_DETECTOR,
        Detector,
        load_detector,
        save_detector,
    )
    from astroclust.detectors.networks import create_detector_network
    from astroclust.detectors.pixels import PixelReader
    from astroclust.detectors.samples import DetectionField, SimulatedFields
    from astroclust.detectors.training import DetectorRecipe, train_detector

__all__ = [
    "DEFAULT_DETECTOR",
    "DetectionField",
    "Detector",
    "DetectorCard",
    "DetectorRecipe",
    "PixelReader",
    "SimulatedFields",
    "check_detector_output",
    "create_detector_network",
    "load_detector",
    "save_detector",
    "train_detector",
]
