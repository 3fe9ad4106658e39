# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Report of a training: scores per held-out galaxy, and the training set."""

import numpy as np
from astropy.table import MaskedColumn, Table

from astroclust.reports import Report
from astroclust.training.labels import class_targets

__all__ = ["report_training"]


def report_training(classifier, samples, folder):
    """Report on a classifier that was trained on several samples.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        The classifier; its card has the scores per galaxy.
    samples : sequence of `~astroclust.training.Sample`
        Samples of the training and test sets.
    folder : str or `~pathlib.Path`
        Folder of ``report.html``, ``galaxies.ecsv`` and ``samples.ecsv``, which are replaced.

    Returns
    -------
    path : `~pathlib.Path`
        The page.

    Examples
    --------
    >>> from astroclust import simulate_stamps, train_classifier
    >>> from astroclust.experiments import report_training
    >>> from astroclust.training import Recipe, Sample, hold_out
    >>> stamps = simulate_stamps(16, seed=1)
    >>> labels = stamps.table["class"]
    >>> samples = [Sample(stamps, labels, galaxy=one, name=one) for one in ("NGC 1", "NGC 2")]
    >>> samples = hold_out(samples, galaxies="NGC 2")
    >>> recipe = Recipe(architecture="native-small", epochs=1)
    >>> classifier = train_classifier(samples, name="mine", recipe=recipe)
    >>> page = report_training(classifier, samples, "report")
    >>> sorted(path.name for path in page.parent.iterdir())
    ['galaxies.ecsv', 'report.html', 'samples.ecsv']
    """
    card = classifier.card
    report = Report(f"Classifier {card.name}", note=card.notice)
    if card.galaxy_scores:
        report.add(
            "Scores on held-out galaxies",
            "These galaxies are not in the training set. auc_1_2 is the area under the ROC curve "
            "of classes 1 and 2 against the others, ece the expected calibration error.",
            name="galaxies",
            table=_scores_table(card.galaxy_scores),
            form=".3f",
        )
    report.add(
        "Samples",
        f"Galaxies in the training set: {', '.join(card.galaxies) or 'not listed'}.",
        name="samples",
        table=_samples_table(samples, card.classes),
    )
    return report.write(folder)


def _scores_table(scores):
    names = list(dict.fromkeys(name for one in scores.values() for name in one))
    table = Table({"galaxy": list(scores)})
    for name in names:
        values = [one.get(name, 0) for one in scores.values()]
        table[name] = MaskedColumn(values, mask=[name not in one for one in scores.values()])
    return table


def _samples_table(samples, scheme):
    rows = []
    for one in samples:
        for use, stamps, labels in (
            ("training", one.stamps, one.labels),
            ("test", one.test_stamps, one.test_labels),
        ):
            if stamps is not None and len(stamps):
                classes = class_targets(labels, len(stamps), scheme).argmax(axis=1)
                counts = np.bincount(classes, minlength=len(scheme)).tolist()
                rows.append((one.name, one.galaxy, use, float(one.weight), len(stamps), *counts))
    names = ["sample", "galaxy", "use", "weight", "n", *(f"class_{i}" for i in scheme.numbers)]
    return Table(rows=rows, names=names)
