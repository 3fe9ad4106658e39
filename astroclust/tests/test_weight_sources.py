# Licensed under a 3-clause BSD style license - see LICENSE.rst
import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from astropy.config import set_temp_cache

from astroclust import load_classifier, save_classifier
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard, ModelHashError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(2)
    card = ModelCard("far", "native-small", "random weights")
    network = create_network("native-small")
    save_classifier(Classifier(card, [network]), folder / "far.safetensors")
    return folder


@pytest.fixture
def server(files, tmp_path):
    """A server that has the files under any path, as a web server or the hub would send them."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            path = files / self.path.rpartition("/")[2]
            content = path.read_bytes() if path.exists() else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            return content

        def do_GET(self):
            requests.append(self.path)
            self.wfile.write(self.do_HEAD())

        def log_message(self, *_):
            pass

    requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running, set_temp_cache(tmp_path):
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.requests = requests
        running.address = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()


def test_weights_are_fetched_from_an_address_once(server):
    address = f"{server.address}/models/far.safetensors"
    for _ in range(2):
        assert load_classifier(address).card.name == "far"
    assert server.requests == ["/models/far.safetensors", "/models/far.json"]


def test_a_known_hash_is_checked_and_another_file_forgotten(server, files):
    address = f"{server.address}/models/far.safetensors"
    digest = hashlib.sha256((files / "far.safetensors").read_bytes()).hexdigest()
    with pytest.raises(ModelHashError, match=rf"has sha256 {digest}, not 0000"):
        load_classifier(f"{address}#sha256={'0' * 64}")
    assert load_classifier(f"{address}#sha256={digest.upper()}").card.sha256 == digest
    assert server.requests.count("/models/far.safetensors") == 2
    with pytest.raises(ValueError, match="invalid fragment #md5=1; expected #sha256=<64 hex"):
        load_classifier(f"{address}#md5=1")


def test_a_known_hash_covers_the_card(server, files):
    address = f"{server.address}/models/far.safetensors"
    digest = hashlib.sha256((files / "far.safetensors").read_bytes()).hexdigest()
    card = files / "far.json"
    right = card.read_text()
    card.write_text(right.replace("not a cluster", "a star"))
    try:
        with pytest.raises(ModelHashError, match=r"saved with another card.*load it again"):
            load_classifier(f"{address}#sha256={digest}")
    finally:
        card.write_text(right)
    assert load_classifier(f"{address}#sha256={digest}").card.classes.names[4] == "not a cluster"


def test_what_is_not_there_is_said(server):
    with pytest.raises(OSError, match=r"or its card .* could not be fetched"):
        load_classifier(f"{server.address}/models/other.safetensors")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://host/far.safetensors", "not a valid address of weights; use https://HOST/PATH"),
        ("https://host/models/", "not a valid address of weights"),
        ("https://host/far.pth#sha256=1", "looks like a pickle"),
        (
            "hf://far.safetensors",
            "does not name a file; use hf://OWNER/REPOSITORY/PATH.safetensors",
        ),
    ],
)
def test_addresses_are_checked(address, message):
    with pytest.raises(ValueError, match=message):
        load_classifier(address)


def test_weights_are_fetched_from_the_hub(server, tmp_path):
    pytest.importorskip("huggingface_hub")
    code = (
        "from astroclust import load_classifier\n"
        "card = load_classifier('hf://someone/clusters@v1/models/far.safetensors').card\n"
        "print(card.name)\n"
    )
    # The hub's address is read when its library is imported.
    settings = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout.strip() == "far", run.stderr
    assert "/someone/clusters/resolve/v1/models/far.safetensors" in server.requests
