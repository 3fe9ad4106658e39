# Licensed under a 3-clause BSD style license - see LICENSE.rst
import inspect
import re
from enum import Enum
from importlib import import_module
from pathlib import Path

import pytest

import astroclust

DOCS = Path(astroclust.__file__).parents[1] / "docs"
# Other packages install a folder of this name.
if not (DOCS / "reference").is_dir():
    pytest.skip("an installed package has no docs", allow_module_level=True)

PAGES = sorted((DOCS / "reference").glob("*.rst"))
MODULES = [
    import_module(name)
    for page in PAGES
    for name in re.findall(r"automodapi:: (\S+)", page.read_text())
]
# Functions with a cache are no functions to `inspect`.
NAMES = {
    name: value
    for module in MODULES
    for name in module.__all__
    if inspect.isclass(value := getattr(module, name)) or inspect.isroutine(inspect.unwrap(value))
}
CLASSES = {name: value for name, value in NAMES.items() if inspect.isclass(value)}


def section(value, title):
    """A section of a docstring of numpydoc, empty where it has none."""
    parts = re.split(r"^(\w[\w ]*)\n-+$", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "")


def parameters(value):
    """Names in the signature; what Python gives to errors and enumerations is not ours."""
    if inspect.isclass(value) and issubclass(value, (BaseException, Enum)):
        return set()
    return set(inspect.signature(value).parameters)


def test_the_page_lists_all_names_of_the_package():
    constants = {name for module in MODULES for name in module.__all__}
    assert set(astroclust.__all__) <= constants
    assert {"simulate_field", "fourier_psf", "Stamps", "StampFlag", "FieldsError"} <= set(NAMES)


def test_each_package_has_its_page_and_each_page_is_listed():
    listed = re.findall(r"^ +reference/(\S+)$", (DOCS / "api.rst").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in PAGES)
    assert [f"astroclust.{page.stem}" for page in PAGES] == [module.__name__ for module in MODULES]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_described_and_has_an_example_that_runs(name):
    value = NAMES[name]
    assert inspect.cleandoc(value.__doc__)
    examples = section(value, "Examples")
    assert ">>> " in examples
    assert "+SKIP" not in examples
    heads = re.findall(r"^(\S[^:\n]*)", section(value, "Parameters"), flags=re.MULTILINE)
    described = {part.strip(" *") for head in heads for part in head.split(",")}
    assert parameters(value) <= described


@pytest.mark.parametrize("name", CLASSES)
def test_methods_are_described(name):
    members = {
        key: member
        for key, member in vars(CLASSES[name]).items()
        if not key.startswith("_")
        and isinstance(member, (property, classmethod, staticmethod, type(section)))
    }
    assert [key for key, member in members.items() if not member.__doc__] == []


def test_what_a_test_of_names_finds():
    def bare(given, *others):
        """Has a docstring.

        Parameters
        ----------
        given : int
            What is given.
        """

    assert parameters(bare) == {"given", "others"}
    assert section(bare, "Parameters").split() == ["given", ":", "int", "What", "is", "given."]
    assert section(bare, "Examples") == ""
    assert parameters(ValueError) == set()
