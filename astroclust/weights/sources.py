# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Locate weights in the package, in files, on servers and on the Hugging Face hub."""

import hashlib
import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urldefrag

from astropy.utils.data import clear_download_cache, download_file

from astroclust.extras import naming_extras
from astroclust.weights.cards import ModelHashError

__all__ = ["Source", "bundle", "find_source"]

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")
_WEIGHTS, _CARD = ".safetensors", ".json"
_HUB, _SERVERS = "hf://", ("https://", "http://")


@dataclass(frozen=True)
class Source:
    """Local files of weights and their card.

    Parameters
    ----------
    name : str
        Name, path or URL given by the user.
    weights, card : `~pathlib.Path`
        Paths of both files.
    remedy : str
        Remedy for error messages if they are damaged.
    """

    name: str
    weights: Path
    card: Path
    remedy: str

    def forget(self):
        """Remove downloaded files from the cache, so that they are downloaded again."""
        if self.name.startswith(_SERVERS):
            for address in (self.name, self.name.removesuffix(_WEIGHTS) + _CARD):
                clear_download_cache(address, pkgname="astroclust")


def bundle():
    """Folder of the bundled classifiers.

    Returns
    -------
    folder : `~pathlib.Path`
        Folder in the installed package.

    Examples
    --------
    >>> from astroclust.weights import bundle
    >>> sorted(path.name for path in bundle().glob("*.safetensors"))
    ['legus-pictures-1.safetensors', 'simulated-3.safetensors']
    """
    return Path(str(resources.files("astroclust") / "data"))


def find_source(model):
    """Locate weights and card from a name, path or URL, downloading them if necessary.

    Parameters
    ----------
    model : str or `~pathlib.Path`
        See `~astroclust.weights.load_classifier`.

    Returns
    -------
    source : `Source`
        Local files.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model must be a name, a path or a Classifier, not {model!r}")
    text = os.fspath(model)
    text, fragment = urldefrag(text) if "://" in text else (text, "")
    if Path(text).suffix in _PICKLES:
        raise ValueError(
            f"{text} looks like a pickle, which can run arbitrary code when loaded; if you trust "
            "it, convert it to safetensors with save_classifier"
        )
    if "://" not in text:
        return _from_disk(text)
    if not text.startswith((*_SERVERS, _HUB)) or not text.endswith(_WEIGHTS):
        raise ValueError(
            f"{text} is not a valid address of weights; use https://HOST/PATH{_WEIGHTS}, or "
            f"{_HUB}OWNER/REPOSITORY/PATH{_WEIGHTS} on the Hugging Face hub"
        )
    fetch = _from_hub if text.startswith(_HUB) else _from_server
    source = fetch(text)
    _check_digest(source, fragment)
    return source


def _from_disk(text):
    path = Path(text).with_suffix(_WEIGHTS) if text.endswith(_CARD) else Path(text)
    if path.suffix != _WEIGHTS:
        path = bundle() / f"{text}{_WEIGHTS}"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in bundle().glob(f"*{_WEIGHTS}")))
            raise ValueError(
                f"unknown classifier {text!r}; use {known} (bundled), or the path or address of a "
                f"{_WEIGHTS} file"
            )
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    remedy = (
        "copy both from their source again; if you changed one of them yourself, sign them with "
        f"astroclust.weights.sign_classifier({str(path)!r})"
    )
    return Source(text, path, path.with_suffix(_CARD), remedy)


def _from_server(address):
    """Download files to the cache of astropy."""
    try:
        weights, card = (
            Path(download_file(part, cache=True, show_progress=False, pkgname="astroclust"))
            for part in (address, address.removesuffix(_WEIGHTS) + _CARD)
        )
    except OSError as error:
        if isinstance(error, HTTPError):
            error.close()  # which releases the connection
        raise OSError(
            f"{address}, or its card ({_CARD} in the same folder), could not be fetched "
            f"({error}); check the address and the connection"
        ) from error
    remedy = "load it again to fetch both again; if that does not help, contact its owner"
    return Source(address, weights, card, remedy)


def _from_hub(address):
    """Download files to the cache of the Hugging Face library."""
    with naming_extras():
        from huggingface_hub import hf_hub_download
    parts = address.removeprefix(_HUB).split("/", 2)
    if len(parts) < 3:
        raise ValueError(
            f"{address} does not name a file; use {_HUB}OWNER/REPOSITORY/PATH{_WEIGHTS}"
        )
    repository, path = "/".join(parts[:2]), parts[2]
    repository, _, revision = repository.partition("@")
    try:
        weights, card = (
            Path(hf_hub_download(repository, part, revision=revision or None))
            for part in (path, path.removesuffix(_WEIGHTS) + _CARD)
        )
    except (OSError, ValueError) as error:
        raise OSError(
            f"{address}, or its card ({_CARD} in the same folder), could not be fetched from "
            f"the hub ({error}); check the name, the connection, and the access rights"
        ) from error
    remedy = f"remove {weights} and {card}, and load it again to fetch both again"
    return Source(address, weights, card, remedy)


def _check_digest(source, fragment):
    """Compare with the hash given by the user, as the card has the same origin as the weights."""
    kind, _, wanted = fragment.partition("=")
    if not fragment:
        return
    if kind != "sha256" or not re.fullmatch("[0-9a-fA-F]{64}", wanted):
        raise ValueError(f"invalid fragment #{fragment}; expected #sha256=<64 hex digits>")
    found = hashlib.sha256(source.weights.read_bytes()).hexdigest()
    if found != wanted.lower():
        source.forget()
        raise ModelHashError(
            f"{source.name} has sha256 {found}, not {wanted}: it was damaged in transfer, or is "
            f"another version; check the hash, or {source.remedy}"
        )
