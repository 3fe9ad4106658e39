# Licensed under a 3-clause BSD style license - see LICENSE.rst
import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import pytest

import astroclust
from astroclust import typing

SOURCE = Path(astroclust.__file__)
SCRIPT = SOURCE.parents[1] / "docs" / "typed_use.py"
PUBLIC = {name: getattr(astroclust, name) for name in [*astroclust.__all__, "test"]}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isroutine(value)}


def untyped(function):
    """Parameters without an annotation, and "return" if that has none."""
    signature = inspect.signature(function)
    given = {name: one.annotation for name, one in signature.parameters.items()}
    given["return"] = signature.return_annotation
    return [
        name
        for name, kind in given.items()
        if kind is signature.empty and name not in ("self", "cls")
    ]


def methods(kind):
    """Public and special methods written in a class, not those that a dataclass generates."""
    for name, member in vars(kind).items():
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, cached_property):
            member = member.func
        elif isinstance(member, classmethod):
            member = member.__get__(None, kind)
        private = name.startswith("_") and not name.startswith("__")
        code = getattr(member, "__code__", None)
        if code and code.co_filename == inspect.getsourcefile(kind) and not private:
            yield member


def classes_in(signatures):
    """Our classes in signatures, also by way of `astroclust.typing`."""
    modules = [import_module(f"astroclust.{name}") for name in (*astroclust._PACKAGES, "flags")]
    known = {name: getattr(one, name) for one in modules for name in one.__all__}
    text = " ".join(map(str, signatures))
    for _ in range(2):  # aliases have aliases
        text += " ".join(getattr(typing, word, "") for word in set(re.findall(r"\w+", text)))
    words = set(re.findall(r"\w+", text))
    return {name: one for name, one in known.items() if name in words and inspect.isclass(one)}


CLASSES = {name: one for name, one in PUBLIC.items() if inspect.isclass(one)}
CLASSES |= classes_in(map(inspect.signature, FUNCTIONS.values()))


def test_type_checkers_see_the_names_that_are_imported_on_first_use():
    tree = ast.parse(SOURCE.read_text())
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = [(one.module, name) for one in block.body for name in one.names]
    # Only ``import name as name`` makes it public.
    assert all(name.name == name.asname for _, name in seen)
    packages = [name.name for module, name in seen if module == "astroclust"]
    homes = {name.name: module for module, name in seen if module != "astroclust"}
    assert sorted(packages) == sorted(astroclust._PACKAGES)
    assert {name: module.split(".")[1] for name, module in homes.items()} == astroclust._HOMES
    assert sorted(homes) == astroclust.__all__


def test_the_package_is_marked_as_typed():
    assert SOURCE.with_name("py.typed").is_file()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_are_annotated(name):
    assert untyped(FUNCTIONS[name]) == []


def test_classes_of_signatures_are_found():
    assert {"ImageSet", "Stamps", "Band", "Classifier", "DescribedFlag", "Sample"} <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_methods_and_fields_are_annotated(name):
    kind = CLASSES[name]
    assert {one.__qualname__: untyped(one) for one in methods(kind) if untyped(one)} == {}
    if is_dataclass(kind):
        vague = (tuple, list, dict, Mapping, object)
        assert [one.name for one in fields(kind) if one.type in vague] == []


@pytest.mark.skipif(not SCRIPT.is_file(), reason="an installed package has no docs")
def test_the_checked_script_uses_all_names():
    used = {node.id for node in ast.walk(ast.parse(SCRIPT.read_text())) if hasattr(node, "id")}
    assert set(astroclust.__all__) <= used


def test_what_untyped_finds():
    def bare(given: int, *others, key=None):
        """Annotated in part."""

    assert untyped(bare) == ["others", "key", "return"]
