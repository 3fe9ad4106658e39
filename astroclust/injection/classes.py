# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classification of the selected artificial clusters."""

import warnings
from dataclasses import dataclass
from itertools import chain

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.classification import classify_table
from astroclust.classification.checks import check_images
from astroclust.images import ImageSet
from astroclust.injection.checkpoints import digest_of
from astroclust.instruments import LEGUS_CLASSES, meta_of
from astroclust.weights import Classifier, load_classifier

__all__ = ["ClassStage"]

# Classes 1 and 2 of LEGUS, which most studies count as clusters (Adamo et al. 2017).
_PUBLISHED = (1, 2)


@dataclass(frozen=True, eq=False)
class ClassStage:
    """Classification of artificial clusters after the selection.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier of the selected clusters.
    """

    classifier: Classifier

    @classmethod
    def of(cls, model, images):
        """Load a classifier, and check that it can classify the images.

        Parameters
        ----------
        model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`
            See `~astroclust.injection.completeness`.
        images : `~astroclust.images.ImageSet`
            The bands of the field.

        Returns
        -------
        stage : `ClassStage`
            The stage.

        Raises
        ------
        ValueError
            If none of its classes counts as a cluster, or it uses none of the bands.
        """
        classifier = load_classifier(None if model == "default" else model)
        card = classifier.card
        if not card.classes.clusters:
            raise ValueError(
                f"classifier {card.name} has no class that counts as a cluster; set clusters= in "
                "its ClassScheme, or choose another classifier"
            )
        check_images(ImageSet.of(images, card.system), card)
        return cls(classifier)

    @property
    def scheme(self):
        """The `~astroclust.instruments.ClassScheme` of the classifier."""
        return self.classifier.card.classes

    @property
    def published(self):
        """Classes of a published catalog: 1 and 2 of LEGUS, or all that count as clusters."""
        names = LEGUS_CLASSES.names
        is_legus = all(self.scheme.names.get(number) == names[number] for number in _PUBLISHED)
        return _PUBLISHED if is_legus else self.scheme.clusters

    @property
    def identity(self):
        """Name and hash of the weights; the card of an unsaved classifier has no hash."""
        parts = chain.from_iterable(one.state_dict().values() for one in self.classifier.networks)
        return self.classifier.card.name, digest_of(*(one.cpu().numpy() for one in parts))

    @property
    def meta(self):
        """Metadata, with the keywords of `~astroclust.classification.classify_table`."""
        card = self.classifier.card
        return {"ACMOD": card.name, "ACSHA": card.sha256[:16], **meta_of(card.classes)}

    def classify(self, sources, selected, images):
        """Classify the selected sources.

        Parameters
        ----------
        sources : `~astropy.table.Table`, length n
            Sources at the positions of artificial clusters; see
            `~astroclust.selection.find_candidates`.
        selected : `~numpy.ndarray` of bool, shape (n,)
            Whether each passes all cuts.
        images : `~astroclust.images.ImageSet`
            Images with the artificial clusters.

        Returns
        -------
        classes : `~numpy.ndarray` of int, shape (n,)
            0 if not selected, or not classified.
        """
        classes = np.zeros(len(selected), int)
        if selected.any():
            with warnings.catch_warnings():
                # Suppress per-round warnings about flags; unclassified rows are counted at the end.
                warnings.simplefilter("ignore", AstropyUserWarning)
                result = classify_table(sources[selected], images, model=self.classifier)
            classes[selected] = np.ma.filled(result["class"], 0)
        return classes
