# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Text output of classifier scores."""

import numpy as np

import astroclust

__all__ = ["say_comparison", "say_galaxies", "say_scores"]


def say_scores(report, true, probabilities, card, scores, *, ablate=False):
    """Print accuracy, recall and precision per class, confusion matrix and calibration.

    Parameters
    ----------
    report : `~astroclust.cli.report.Report`
        Report to which ``scores`` and the tables ``classes`` and ``confusion`` are added.
    true, probabilities
        See `~astroclust.training.scores.summary`.
    card : `~astroclust.weights.ModelCard`
        Card of the classifier.
    scores : dict of str to float
        See `~astroclust.training.score_classifier`.
    ablate : bool, optional
        Whether to print scores without some of the bands and pixels.
    """
    scheme = card.classes
    labels, classes = map(scheme.numbers_of, (true, probabilities.argmax(axis=1)))
    by_class = astroclust.evaluation.class_scores(labels, classes, scheme=scheme)
    counts = astroclust.evaluation.confusion_matrix(labels, classes, scheme=scheme)
    common = by_class["name"][np.argmax(by_class["total"])]
    text = [
        f"accuracy {scores['accuracy']:.3f} +- {scores['accuracy_error']:.3f} on {scores['n']} "
        f"rows; baseline (always class {common}): {scores['baseline']:.3f}",
        f"calibration error {scores['ece']:.3f}",
        *_lines_of_classes(by_class, counts),
    ]
    if ablate:
        text += _lines_of_less(scores)
    report.say("{}", "\n".join(text), scores=scores, classes=by_class, confusion=counts)


def _lines_of_classes(by_class, counts):
    """Confusion matrix, with the recall and precision of each class."""
    names = [f"{row['class']} {row['name']}" for row in by_class]
    width = max(map(len, names))
    given = [f"class_{number}" for number in by_class["class"]]
    digits = max(len(str(counts["total"].max())), 2)
    heads = " ".join(f"{number:>{digits}}" for number in by_class["class"])
    lines = [f"{'label':{width}}  rows  recall  precision  classified as {heads}"]
    for name, row, row_counts in zip(names, by_class, counts, strict=True):
        cells = " ".join(f"{row_counts[one]:{digits}d}" for one in given)
        lines.append(
            f"{name:{width}}  {row['total']:4d}  {_fraction(row['recall']):>6}  "
            f"{_fraction(row['precision']):>9}  {'':13} {cells}"
        )
    return lines


def _lines_of_less(scores):
    """Accuracy without some of the bands and pixels."""
    start = "accuracy_without_"
    lines = [
        f"without {name.removeprefix(start).replace('_', ' and ')}: accuracy {value:.3f}"
        for name, value in scores.items()
        if name.startswith(start)
    ]
    masked = scores["accuracy_masked"]
    return [*lines, f"with a tenth of the pixels missing: accuracy {masked:.3f}"]


def _fraction(value):
    return f"{value:.2f}" if np.isfinite(value) else "-"


def say_comparison(report, start, card, true, before, after):
    """Compare a fine-tuned classifier with the one it started from.

    Parameters
    ----------
    report : `~astroclust.cli.report.Report`
        Report to which ``comparison`` is added.
    start, card : `~astroclust.weights.ModelCard`
        Cards of both classifiers.
    true : `~numpy.ndarray` of int, shape (n,)
        Classes of the labels, as indices into the scheme.
    before, after : `~numpy.ndarray` of float, shape (n, n_classes)
        Class probabilities by both.
    """
    found = astroclust.evaluation.compare_classes(true, before.argmax(axis=1), after.argmax(axis=1))
    report.say(
        "before ({}): accuracy {:.3f}, after ({}): {:.3f}, on the same {} rows; difference "
        "{:+.3f} +- {:.3f} (right only after: {}, only before: {})\n{}",
        start.name,
        found.before,
        card.name,
        found.after,
        found.n,
        found.difference,
        found.error,
        found.gained,
        found.lost,
        found.verdict,
        comparison=found.content,
    )


def say_galaxies(report, scores, card, *, seen=None):
    """Print scores in one line per galaxy; galaxies in the training set are marked.

    Parameters
    ----------
    report : `~astroclust.cli.report.Report`
        Report to which ``galaxies`` is added.
    scores : dict of str to dict
        See `~astroclust.training.score_galaxies`.
    card : `~astroclust.weights.ModelCard`
        Card of the classifier.
    seen : dict of str to int, optional
        Number of training stamps per galaxy.
    """
    lines, trained = [], {astroclust.catalogs.fields.plain_name(one) for one in card.galaxies}
    for name, one in scores.items():
        recalls = [one.get(f"recall_{number}") for number in card.classes.numbers]
        recalls = ["-" if value is None else f"{value:.2f}" for value in recalls]
        area = f", AUC of 1+2 {one['auc_1_2']:.3f}" if "auc_1_2" in one else ""
        n_seen = (seen or {}).get(name, 0)
        mark = f" (trained on {n_seen} of them)" if 0 < n_seen < one["n"] else " (trained on)"
        lines.append(
            f"{name}: n {one['n']}, accuracy {one['accuracy']:.3f}, recalls {' '.join(recalls)}, "
            f"mean recall {one['mean_recall']:.3f}{area}, calibration error {one['ece']:.3f}"
            + (mark if n_seen or astroclust.catalogs.fields.plain_name(name) in trained else "")
        )
    report.say("{}", "\n".join(lines), galaxies=scores)
