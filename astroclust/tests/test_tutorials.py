# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.archive import conf

NOTEBOOKS = Path(astroclust.__file__).parents[1] / "docs" / "notebooks"
if not NOTEBOOKS.is_dir():
    pytest.skip("an installed package has no docs", allow_module_level=True)


def code_of(name):
    """Cells of a notebook, without commands of IPython."""
    for cell in json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(line for line in cell["source"] if not line.startswith("%"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a notebook in an empty folder; return its variables."""

    def run(name):
        monkeypatch.chdir(tmp_path)
        variables = {}
        for source in code_of(name):
            exec(compile(source, name, "exec"), variables)
        return variables

    return run


def test_the_tutorial_on_real_pixels_runs_on_an_archive(archive_server, run, tmp_path):
    (tmp_path / "archive").mkdir()
    files = archive_server.simulated_archive(["ngc3351"], tmp_path / "archive", shape=(400, 400))
    with (
        archive_server.ArchiveServer(files) as server,
        conf.set_temp("archive_server", server.url),
        conf.set_temp("mast_server", server.url),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always", AstropyUserWarning)
        variables = run("legus.ipynb")
    assert {request.method for request in server.requests} > {"GET"}
    assert variables["field"].images.filters == ("F275W", "F336W", "F438W", "F555W", "F814W")
    result = variables["result"]
    assert set(np.unique(result["class_human"])) <= {1, 2, 3, 4}
    assert len(result) == np.count_nonzero(variables["human"]) > 0
    assert not np.ma.is_masked(result["class"])
    assert "evidence" not in result.colnames  # photometry would be scored on its training set
    assert "NGC 3351" not in variables["classifier"].card.galaxies
    # Only what the text of the notebook prepares for.
    assert [str(one.message) for one in caught if "rows have flags" not in str(one.message)] == []


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_notebooks_silence_no_warnings_and_are_kept_without_outputs(name):
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    assert not any("simplefilter" in source for source in code_of(name))
    assert not any(cell.get("outputs") for cell in cells)
