# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Output folder of a run: settings, completed tables and warnings."""

import json
import warnings
from contextlib import contextmanager
from dataclasses import asdict

from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.catalogs import read_table, write_table
from astroclust.files import reading, replace_when_done
from astroclust.images.reading import KEYWORDS
from astroclust.injection.checkpoints import digest_of

__all__ = ["LOG", "RunFolder", "describe_run"]

#: File of the settings and warnings of a run.
LOG = "run.json"


def describe_run(images, classifier, preset, *, distance, blocked):
    """Describe all inputs and settings that affect the tables of a run.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    preset : `~astroclust.selection.Preset`
        Settings of the selection.
    distance : `~astropy.units.Quantity` or float or None
        Distance of the galaxy, in Mpc if it has no unit.
    blocked : `~numpy.ndarray` of bool or None
        Pixels without candidates.

    Returns
    -------
    settings : dict
        Serializable to JSON.
    """
    settings = {
        "astroclust": astroclust.__version__,
        "images": {band.filter: _describe_band(band) for band in images.values()},
        "sky": _corners(images),
        "distance": None if distance is None else float(u.Quantity(distance, u.Mpc).value),
        "blocked": None if blocked is None else digest_of(blocked)[:16],
        "classifier": f"{classifier.card.name} {classifier.card.sha256[:16]}",
        **asdict(preset),
    }
    return json.loads(json.dumps(settings, default=str))


def _describe_band(band):
    """Everything about a band that affects fluxes and stamps, except the WCS."""
    keywords = {key: str(band.meta[key]) for key in KEYWORDS if key in band.meta}
    masks = (band.mask, band.weight, band.variance)
    return {
        "role": band.role,
        "pixels": band.checksum,
        "masks": " ".join("-" if one is None else digest_of(one)[:16] for one in masks),
        "unit": f"{band.scale:.10g} {band.unit}",
        "header": keywords,
    }


def _corners(images):
    """Sky coordinates of three corners, which identify a WCS of any kind."""
    if images.wcs is None:
        return None
    ny, nx = images.shape
    sky = images.wcs.pixel_to_world([0, nx - 1, 0], [0, 0, ny - 1]).icrs
    return [f"{ra:.8f} {dec:+.8f}" for ra, dec in zip(sky.ra.deg, sky.dec.deg, strict=True)]


class RunFolder:
    """Folder in which each table is made once, by runs with the same settings.

    Parameters
    ----------
    path : `~pathlib.Path`
        Existing folder.
    settings : dict
        Settings returned by `describe_run`.
    files : sequence of str
        Names of the files of a run.
    stages : sequence of str
        Names of the tables to be reused.
    overwrite : bool
        Whether to replace the files of an earlier run, or unrelated ones. They are removed once the
        first table of this run is made.

    Raises
    ------
    ValueError
        If the folder contains a run with other settings.
    OSError
        If the log cannot be read, or the folder has files of these names from elsewhere.
    """

    def __init__(self, path, settings, *, files, stages, overwrite):
        self.path, self._settings, self._warned = path, settings, {}
        present = [name for name in files if (path / name).exists()]
        self._replaced = present if overwrite else []
        if overwrite:
            return
        if LOG in present and set(present) & set(stages):
            self._resume()
        elif set(present) - {LOG}:
            raise FileExistsError(
                f"{path} has {', '.join(present)}, which are not from a run; choose another "
                "folder, or overwrite them (overwrite=True, --overwrite)"
            )

    @property
    def warned(self):
        """Unique warnings of all stages, including those of earlier runs."""
        return list(dict.fromkeys(text for texts in self._warned.values() for text in texts))

    def table(self, name, make):
        """Read a table from the folder, or make and write it if it does not exist.

        Parameters
        ----------
        name : str
            Name of the file.
        make : callable
            Function that returns the table.

        Returns
        -------
        table : `~astropy.table.Table`
            The table as read from the file, so that a resumed run gets the same.
        """
        path = self.path / name
        if self._replaced or not path.exists():
            with _passed_on() as given:
                table = make()
                self._warned[name] = list(dict.fromkeys(str(one.message) for one in given))
                while self._replaced:
                    (self.path / self._replaced.pop()).unlink(missing_ok=True)
                # The log is written first: a table without one does not belong to a run.
                self._write()
                write_table(table, path)
        return read_table(path)

    def _resume(self):
        path = self.path / LOG
        remedy = "choose another folder, or overwrite this one (overwrite=True, --overwrite)"
        with reading(path, remedy=remedy):
            known = json.loads(path.read_text(encoding="utf-8"))
            settings, self._warned = known["settings"], known["warnings"]
            changed = list(_changes(settings, self._settings))
        if changed:
            raise ValueError(
                f"{self.path} has a run with different settings ({'; '.join(changed)}); {remedy}"
            )

    def _write(self):
        content = {"settings": self._settings, "warnings": self._warned}
        with replace_when_done(self.path / LOG, overwrite=True) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _passed_on():
    """Record warnings and reissue them at the end, so that results are kept if they are errors."""
    given = []
    try:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always", AstropyUserWarning)
            yield given
    finally:
        for one in given:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _changes(old, new, prefix=""):
    """Entries that differ, with those of mappings listed individually."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _changes(before, after, f"{prefix}{name} ")
        elif before != after:
            yield f"{prefix}{name}: {_short(before)} -> {_short(after)}"


def _short(value):
    return "given" if isinstance(value, dict) else "none" if value is None else value
