# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Export of classifiers to a folder for the Hugging Face hub."""

import json
from pathlib import Path

from astroclust.files import replace_when_done
from astroclust.weights.saving import save_classifier

__all__ = ["hub_page", "write_hub_folder"]

_TAGS = ("astronomy", "star-clusters", "hubble-space-telescope", "legus", "image-classification")


def write_hub_folder(classifier, folder, *, overwrite=False):
    """Write weights, model card and description to a folder for the Hugging Face hub.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier to be exported.
    folder : str or `~pathlib.Path`
        Output folder, which is created if necessary; its parent must exist. Upload it with
        ``hf upload OWNER/REPOSITORY FOLDER``.
    overwrite : bool, optional
        Whether to overwrite existing files.

    Returns
    -------
    card : `~astroclust.weights.ModelCard`
        The card as written. Weights and card are named after the classifier, and ``README.md``
        is the page from `hub_page`.

    Raises
    ------
    OSError
        If a file exists and ``overwrite`` is false, or a file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astroclust import load_classifier
    >>> from astroclust.weights import write_hub_folder
    >>> card = write_hub_folder(load_classifier(), "hub")
    >>> sorted(path.suffix for path in Path("hub").iterdir())
    ['.json', '.md', '.safetensors']
    >>> load_classifier(f"hub/{card.name}.safetensors").card == card
    True
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    with replace_when_done(folder / "README.md", overwrite=overwrite) as partial:
        partial.write_text(hub_page(classifier.card), encoding="utf-8")
    path = folder / f"{_file_name(classifier.card.name)}.safetensors"
    return save_classifier(classifier, path, overwrite=overwrite)


def _file_name(name):
    return "".join(one if one.isalnum() or one in "-_." else "-" for one in name)


def hub_page(card):
    """Page of a classifier on the Hugging Face hub.

    Parameters
    ----------
    card : `~astroclust.weights.ModelCard`
        Model card.

    Returns
    -------
    text : str
        Markdown with the metadata for the hub as YAML front matter.

    Examples
    --------
    >>> from astroclust.weights import ModelCard, hub_page
    >>> print(hub_page(ModelCard("mine", "native", "1000 stamps")).splitlines()[1])
    license: "bsd-3-clause"
    """
    notice = f"> **Note:** {card.notice}.\n\n" if card.notice else ""
    classes = "\n".join(f"- {number}: {name}" for number, name in card.classes.names.items())
    galaxies = ", ".join(card.galaxies) or "none listed"
    return f"""\
---
{_front_matter(card)}
---

# {card.name}

A classifier of star-cluster candidates in Hubble Space Telescope images, for
[astroclust](https://pypi.org/project/astroclust/).

{notice}```python
from astroclust import ImageSet, classify_table

images = ImageSet.read({{"F555W": "v.fits", "F814W": "i.fits"}})
model = "hf://OWNER/REPOSITORY/{_file_name(card.name)}.safetensors"
result = classify_table(table, images, model=model)
```

## Input and output

The input consists of stamps of {card.stamp_size} x {card.stamp_size} pixels of
{card.pixel_scale:g} arcsec in the bands {", ".join(card.bands)}, of which up to
{card.max_missing_bands} may be missing. The output is the probability of each class:

{classes}

## Training

- Architecture: `{card.architecture}`, {card.members} network{"s" if card.members > 1 else ""}
- Sample: {card.training_sample}
- Galaxies in the training set: {galaxies}
- Command: `{card.command or "not recorded"}`

## Scores

{_scores(card)}
Scores apply to candidates selected in the same way, with the same mix of classes.
"""


def _front_matter(card):
    """Metadata as YAML, which includes JSON."""
    entries = {
        "license": card.license.lower(),
        "library_name": "astroclust",
        "pipeline_tag": "image-classification",
        "tags": list(_TAGS),
    }
    scores = card.galaxy_scores.get("all") or card.scores
    if "accuracy" in scores:
        metrics = [{"type": name, "value": value} for name, value in scores.items() if name != "n"]
        dataset = {"type": "legus", "name": card.split or "held-out stamps"}
        task = {"type": "image-classification"}
        result = {"task": task, "dataset": dataset, "metrics": metrics}
        entries["model-index"] = [{"name": card.name, "results": [result]}]
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in entries.items())


def _scores(card):
    """Scores per galaxy or of the test set, and for subsets of the bands."""
    return "\n".join([_held_out_scores(card), *_band_tables(card)])


def _held_out_scores(card):
    """Scores per galaxy as a table, or those of the test set as a list."""
    if not card.galaxy_scores:
        lines = [f"- {name}: {value:g}" for name, value in card.scores.items()]
        held_out = f"Held out: {card.split}.\n\n" if card.split else ""
        return held_out + ("\n".join(lines) or "Nothing was held out.") + "\n"
    table = _markdown_table("galaxy", card.galaxy_scores)
    return f"On held-out galaxies ({card.split}):\n\n{table}"


def _band_tables(card):
    """Scores for subsets of the bands, one table per kind of labels."""
    kinds = {"simulated": "simulated stamps", "human": "held-out human labels"}
    return [
        f"With these bands only, on {kinds[kind]}:\n\n{_markdown_table('bands', scores)}"
        for kind, scores in card.band_scores.items()
    ]


def _markdown_table(title, rows):
    """Table of scores by name, with one row per entry."""
    names = list(dict.fromkeys(name for one in rows.values() for name in one))
    lines = [f"| {title} | {' | '.join(names)} |", "|" + " --- |" * (len(names) + 1)]
    for row, scores in rows.items():
        values = [f"{scores[name]:g}" if name in scores else "" for name in names]
        lines.append(f"| {row} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"
