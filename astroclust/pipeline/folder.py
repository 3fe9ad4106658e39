# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The folder of a run: its settings, the tables that are done, and the warnings that were given."""

import hashlib
import json
import warnings
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.catalogs import write_table
from astroclust.files import reading, replace_when_done

__all__ = ["RunFolder", "describe_run"]

_LOG = "run.json"


def describe_run(images, classifier, preset, *, distance, blocked):
    """Everything that the tables of a run depend on.

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
        Of what JSON knows.
    """
    settings = {
        "astroclust": astroclust.__version__,
        "images": {
            band.filter: f"{band.role} {band.checksum} {_digest(band.mask)}"
            for band in images.values()
        },
        "distance": None if distance is None else float(u.Quantity(distance, u.Mpc).value),
        "blocked": _digest(blocked),
        "classifier": f"{classifier.card.name} {classifier.card.sha256[:16]}",
        **asdict(preset),
    }
    return json.loads(json.dumps(settings, default=str))


def _digest(mask):
    return "" if mask is None else hashlib.sha256(np.ascontiguousarray(mask)).hexdigest()[:16]


class RunFolder:
    """A folder in which each table is made once, by runs of the same settings.

    Parameters
    ----------
    path : `~pathlib.Path`
        The folder, which exists.
    settings : dict
        What `describe_run` returns.

    Raises
    ------
    ValueError
        If the folder holds a run with other settings.
    OSError
        If its log cannot be read or written.
    """

    def __init__(self, path, settings):
        self.path, self._settings, self._warned = path, settings, {}
        if (path / _LOG).exists():
            self._resume()
        self._write()

    @property
    def warned(self):
        """Warnings of all stages, each once, also those of earlier runs."""
        return list(dict.fromkeys(text for texts in self._warned.values() for text in texts))

    def table(self, name, make):
        """Read a table of the folder; if it does not exist, make and write it.

        Parameters
        ----------
        name : str
            Name of the file.
        make : callable
            Returns the table.

        Returns
        -------
        table : `~astropy.table.Table`
            As read, so that a run that resumes has the same.
        """
        path = self.path / name
        if not path.exists():
            # Written first, so that nothing is lost to those who turn warnings into errors.
            with self.recording(name):
                write_table(make(), path)
        return Table.read(path)

    @contextmanager
    def recording(self, stage):
        """Keep the warnings that a stage gives, and pass them on."""
        try:
            with warnings.catch_warnings(record=True) as given:
                warnings.simplefilter("always", AstropyUserWarning)
                yield
        finally:
            self._warned[stage] = list(dict.fromkeys(str(one.message) for one in given))
            self._write()
            for one in given:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)

    def _resume(self):
        path = self.path / _LOG
        with reading(path, remedy="remove it, or choose another folder"):
            known = json.loads(path.read_text(encoding="utf-8"))
            settings, self._warned = known["settings"], known["warnings"]
        changed = sorted(
            name
            for name in {*settings, *self._settings}
            if settings.get(name) != self._settings.get(name)
        )
        if changed:
            words = [
                f"{name} {_short(settings.get(name))} -> {_short(self._settings.get(name))}"
                for name in changed
            ]
            raise ValueError(
                f"{self.path} holds a run with other settings ({'; '.join(words)}): choose another "
                "folder, or overwrite it"
            )

    def _write(self):
        content = {"settings": self._settings, "warnings": self._warned}
        with replace_when_done(self.path / _LOG, overwrite=True) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _short(value):
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
