# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Process a field from images to a folder of classified candidates, regions and figures."""

from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from astropy import units as u
from astropy.table import Table

from astroclust.catalogs import write_table
from astroclust.classification import classify_table
from astroclust.classification.evidence import uses_photometry
from astroclust.extras import naming_extras
from astroclust.files import check_output, make_folder, replace_when_done
from astroclust.images import ImageSet
from astroclust.locks import only_process
from astroclust.pipeline.folder import RunFolder, describe_run
from astroclust.selection import (
    Preset,
    blocked_pixels,
    find_candidates,
    get_preset,
    keep_candidates,
)
from astroclust.weights import load_classifier

if TYPE_CHECKING:
    import torch

    from astroclust.typing import AreaLike, ClassifierLike, ImagesLike

with naming_extras():
    from astroclust.ds9 import write_regions
    from astroclust.pipeline.summary import class_counts, write_summary
    from astroclust.plotting import plot_field, plot_gallery

__all__ = ["FILES", "STAGES", "class_counts", "run_field"]

#: Files written by `run_field`, with descriptions.
FILES = {
    "sources.ecsv": "all detected sources with the reason for rejection",
    "classified.ecsv": "classified candidates in a lossless format",
    "classified.fits": "classified candidates in FITS, for example for TOPCAT",
    "candidates.reg": "DS9 regions by class",
    "field.png": "color image of the field with its candidates",
    "gallery.png": "stamps of each class, in order of decreasing probability",
    "summary.html": "cut flow, classes, settings and citation on one page",
    "run.json": "settings and warnings, used to resume an interrupted run",
}

#: Tables that take long to compute, in this order; a resumed run reads them.
STAGES = ("sources.ecsv", "classified.ecsv")


def run_field(
    images: "ImagesLike",
    folder: str | Path,
    *,
    title: str = "",
    distance: float | u.Quantity | None = None,
    preset: str | Preset = "legus",
    exclude: "AreaLike | None" = None,
    footprint: "AreaLike | None" = None,
    model: "ClassifierLike | None" = None,
    device: "str | torch.device" = "auto",
    workers: int | Executor = 1,
    overwrite: bool = False,
    progress_bar: bool = False,
) -> Table:
    """Find, measure and classify the star-cluster candidates of a field, and write all results.

    Each table is written when it is complete; repeat the call to resume an interrupted run.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    folder : str or `~pathlib.Path`
        Output folder for `FILES`; created if it does not exist.
    title : str, optional
        Title of the summary page; by default the name of the folder.
    distance, preset, exclude, footprint, workers : optional
        See `~astroclust.selection.find_candidates`.
    model, device : optional
        See `~astroclust.classification.classify_table`. If the candidates have usable magnitudes,
        their photometry and surroundings are also used as evidence.
    overwrite : bool, optional
        Whether to start again in a folder that already contains a run, even with other settings.
        Its files are kept until the new sources are found.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    result : `~astropy.table.Table`
        The classified candidates.

    Raises
    ------
    ValueError
        If the folder contains a run with other images, settings or classifier; see also
        `~astroclust.selection.find_candidates` and `~astroclust.classification.classify_table`.
    OSError
        If a file cannot be read or written, or the folder has files of these names from elsewhere.

    Examples
    --------
    Some stamps extend beyond the edge of this small field:

    >>> from pathlib import Path
    >>> from astroclust import run_field, simulate_field
    >>> field = simulate_field(shape=(160, 160), seed=1, density=1e-3)
    >>> result = run_field(field.images, "ngc1", distance=10)  # doctest: +SHOW_WARNINGS
    AstropyUserWarning: ... of ... rows have flags (EDGE ...); 0 rows are not classified
    >>> sorted(path.name for path in Path("ngc1").glob("*.html"))
    ['summary.html']
    """
    images, folder = ImageSet.of(images), Path(folder)
    classifier, preset = load_classifier(model), get_preset(preset)
    blocked = blocked_pixels(images, exclude, footprint)
    settings = describe_run(images, classifier, preset, distance=distance, blocked=blocked)
    make_folder(folder)
    for name in FILES:
        check_output(folder / name, overwrite=True)
    with only_process(folder):
        run = RunFolder(folder, settings, files=FILES, stages=STAGES, overwrite=overwrite)
        sources = run.table(
            STAGES[0],
            lambda: find_candidates(
                images,
                distance=distance,
                preset=preset,
                exclude=exclude,
                footprint=footprint,
                keep_rejected=True,
                workers=workers,
                progress_bar=progress_bar,
            ),
        )
        candidates = keep_candidates(sources)
        result = run.table(
            STAGES[1],
            lambda: classify_table(
                candidates,
                images,
                model=classifier,
                neighbors=_neighbors(candidates, classifier),
                device=device,
                progress_bar=progress_bar,
            ),
        )
        figures = _write_products(result, images, folder)
        write_summary(
            folder / "summary.html",
            sources,
            result,
            images,
            classifier,
            title=title or folder.resolve().name,
            figures=figures,
            warned=run.warned,
            files=FILES,
        )
    return result


def _neighbors(candidates, classifier):
    """The candidates themselves, if their photometry is used as evidence."""
    usable = uses_photometry("auto", candidates, None, classifier.card)
    return candidates if usable else None


def _write_products(result, images, folder):
    """Write tables, regions and figures; return the figures by heading."""
    write_table(result, folder / "classified.fits", overwrite=True)
    write_regions(result, folder / "candidates.reg", overwrite=True)
    figures = {
        "Candidates": plot_field(images, result).figure,
        "Gallery": plot_gallery(result, images),
    }
    for name, figure in zip(("field.png", "gallery.png"), figures.values(), strict=True):
        with replace_when_done(folder / name, overwrite=True) as partial:
            figure.savefig(partial, dpi=110)
    return figures
