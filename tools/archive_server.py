# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Local archive server that imitates MAST and fails on request, for tests and benchmarks."""

import argparse
import hashlib
import io
import json
import logging
import os
import re
import socket
import struct
import sys
import tarfile
import threading
import time
import zlib
from collections import defaultdict, deque, namedtuple
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

__all__ = ["ArchiveServer", "Request", "phangs_archive", "sample_archive", "simulated_archive"]

logger = logging.getLogger(__name__)

#: A request, with the status of its reply and the client. The path includes the query, with percent
#: encoding removed.
Request = namedtuple("Request", "method path range status agent")

_FAULTS = ("truncate", "reset", "stall", "short", "corrupt", "executing")
_BLOCK = 65536  # bytes
_STALL = 30  # seconds

_OBSERVATION = (
    "obsid obs_id obs_collection provenance_name project dataproduct_type target_name filters "
    "instrument_name s_ra s_dec t_exptime"
)
_PRODUCT = (
    "obsID obs_id obs_collection project dataproduct_type dataURI productFilename productType "
    "productGroupDescription size"
)
_NUMBERS = {"s_ra": "float", "s_dec": "float", "t_exptime": "float", "size": "int"}
_PRODUCTS = re.compile(
    r"/hlsps/(?P<path>(?:.+/)?(?P<name>hlsp_(?P<survey>legus|phangs-hst|phangs-cat)_hst"
    r"_(?P<camera>[^_/]+)_(?P<target>[^_/]+)_(?P<filter>f\d+[a-z]+|multi|multiband)_[^/]*"
    r"(?:drc|sci|err-drc-wht|apcor|candidates))\.(?:fits|tab))"
)


class ArchiveServer(ThreadingHTTPServer):
    """Server of files, and of the observations and products of the MAST portal.

    Parameters
    ----------
    files : dict of str to bytes or `~pathlib.Path`
        Contents by the path in the URL; may be changed while the server runs. Images and
        catalogs of single fields of LEGUS and PHANGS-HST under ``/hlsps/`` are also listed as
        observations by the portal.
    ranges : bool, optional
        Whether range requests are supported.
    port : int, optional
        Port on 127.0.0.1; by default, a free one is chosen.

    Attributes
    ----------
    url : str
        Address of the server, without a trailing slash.
    requests : list of `Request`
        All requests, in the order in which the replies began.
    rate : float or None
        Bytes per second of each reply that begins after it is set; None for no limit.
    replies : dict of str to dict
        Replies that replace those of the portal, by service or, for the columns,
        ``"columnsconfig"``.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files, *, ranges=True, port=0):
        self.files, self.ranges = files, ranges
        self.requests = []
        self.rate = None
        self.replies = {}
        self.created = time.time()
        self.stopped = threading.Event()
        self._faults = defaultdict(deque)
        self._connections = set()
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Start to serve requests, in threads."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Close the port and all connections, including those of unfinished replies."""
        self.stopped.set()
        self.shutdown()
        self.server_close()
        for connection in self._connections.copy():
            with suppress(OSError):  # closed by its own thread meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def fail(self, path, *faults):
        """Make the next GET requests for a path, or POST requests to the portal, fail in turn.

        Parameters
        ----------
        path : str
            Key of ``files``, also for files fetched through the portal; or a path of the portal.
        *faults : int or str
            Faults of successive requests. An integer is the HTTP status of the reply.
            ``"truncate"`` closes the connection after half of the bytes, ``"reset"`` resets it
            there, ``"stall"`` stops sending there, ``"short"`` sends half of the bytes as if they
            were all, and ``"corrupt"`` changes one byte. ``"executing"`` is the reply of the portal
            while a query is running.
        """
        for fault in faults:
            if not isinstance(fault, int) and fault not in _FAULTS:
                raise ValueError(
                    f"unknown fault {fault!r}; use an HTTP status or one of {', '.join(_FAULTS)}"
                )
        self._faults[path].extend(faults)

    def take_fault(self, path):
        """Remove and return the next fault of a path; None if there is none."""
        with suppress(IndexError):
            return self._faults[path].popleft()

    def process_request(self, request, client_address):
        """Serve a request, and record its connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Report an error, unless the client disconnected, as some tests do on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise, each body is delayed by 40 ms, until the client has acknowledged the headers.
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        path = unquote_plus(url.path)  # the archive decodes a bare + as a space
        if path == "/api/v0.1/Download/file":
            uri = parse_qs(url.query).get("uri", [""])[0]
            path = re.sub("^mast:HLSP/", "/hlsps/", uri)
        fault = self.server.take_fault(path) if self.command == "GET" else None
        if isinstance(fault, int):
            self._send_status(fault)
        elif path not in self.server.files:
            self._send_status(404)
        else:
            self._send_file(self.server.files[path], fault)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        fault = self.server.take_fault(self.path)
        if isinstance(fault, int):
            self._send_status(fault)
        elif self.path == "/portal/Mashup/Mashup.asmx/columnsconfig":  # only for astroquery
            columns = _PRODUCT if form["colConfigId"] == "Mast.Caom.Products" else _OBSERVATION
            answer = {name: {"type": kind} for name, kind in _types(columns)}
            self._send_json(self.server.replies.get("columnsconfig", answer), fault)
        elif fault == "executing":
            self._send_json({"status": "EXECUTING", "msg": ""}, None)
        elif self.path == "/api/v0/invoke":
            request = json.loads(form["request"])
            answer = self.server.replies.get(request["service"])
            self._send_json(answer or _answer(request, self.server.files), fault)
        else:
            self._send_status(404)

    def log_request(self, code="-", size="-"):
        asked = self.command, unquote(self.path), self.headers.get("Range")
        agent = self.headers.get("User-Agent", "")
        self.server.requests.append(Request(*asked, int(code), agent))
        logger.info("%s %s %s %d by %s", *asked, code, agent.partition(" ")[0])

    def _send_status(self, status, headers=()):
        body = f"{status} {HTTPStatus(status).phrase}\n".encode()
        again = {"Retry-After": 0} if status in (429, 503) else {}
        self._send(status, io.BytesIO(body), {**again, **dict(headers)})

    def _send_json(self, answer, fault):
        body = json.dumps(answer).encode()
        self._send(200, io.BytesIO(body), {"Content-Type": "application/json"}, fault=fault)

    def _send_file(self, content, fault):
        with _open(content) as stream:
            headers = self._validators(content, stream)
            wanted = self._wanted(headers)
            size = stream.seek(0, os.SEEK_END)
            if self.server.ranges:
                headers["Accept-Ranges"] = "bytes"
            if not wanted:
                self._send(200, stream, headers, fault=fault)
            elif span := range(size)[int(wanted[1]) : int(wanted[2] or size) + 1]:
                self._send(206, stream, headers, span=span, fault=fault)
            else:
                self._send_status(416, {"Content-Range": f"bytes */{size}"})

    def _validators(self, content, stream):
        """Headers by which a client can tell if a partly downloaded file has changed."""
        changed = content.stat().st_mtime if isinstance(content, Path) else self.server.created
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"Last-Modified": self.date_time_string(changed), "ETag": f'"{digest}"'}

    def _wanted(self, validators):
        """Match of the first and last requested byte; None if the complete file is requested."""
        same = self.headers.get("If-Range", validators["ETag"]) in validators.values()
        if self.command == "GET" and self.server.ranges and same:
            return re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        return None

    def _send(self, status, stream, headers, *, span=None, fault=None):
        size = stream.seek(0, os.SEEK_END)
        span = range(size) if span is None else span
        half = span[: len(span) // 2]
        if fault == "short":
            span = half
        if status == 206:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(span)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        breaks = fault in ("truncate", "reset", "stall")
        self._send_bytes(stream, half if breaks else span, half.stop if fault == "corrupt" else -1)
        if breaks:
            self._break_off(fault)

    def _send_bytes(self, stream, span, wrong):
        rate = self.server.rate
        length = int(min(_BLOCK, max(1, rate / 20))) if rate else _BLOCK
        position = stream.seek(span.start)
        while block := bytearray(stream.read(min(length, span.stop - position))):
            if position <= wrong < position + len(block):
                block[wrong - position] ^= 0xFF
            self.wfile.write(block)
            position += len(block)
            if rate and self.server.stopped.wait(len(block) / rate):
                break

    def _break_off(self, fault):
        if fault == "stall":
            self.server.stopped.wait(_STALL)
        if fault == "reset":  # closing a socket that may not linger resets the connection
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True


def _open(content):
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def _types(columns):
    return [(name, _NUMBERS.get(name, "string")) for name in columns.split()]


def _answer(request, files):
    """Reply of the portal to a query: one page of observations or products."""
    service, params = request["service"], request["params"]
    rows = [_row(file, files[file[0]]) for file in map(_PRODUCTS.fullmatch, [*files]) if file]
    if service in ("Mast.Caom.Filtered", "Mast.Caom.Filtered.Position"):
        columns = _OBSERVATION
        rows = [row for row in rows if all(_passes(row, one) for one in params["filters"])]
    elif service == "Mast.Caom.Products":
        columns = _PRODUCT
        rows = [row for row in rows if row["obsID"] in params["obsid"].split(",")]
    else:
        return {"status": "ERROR", "msg": f"service {service} does not exist"}
    length = request["pagesize"]
    first = (request["page"] - 1) * length
    return {
        "status": "COMPLETE",
        "msg": "",
        "fields": [{"name": name, "type": kind} for name, kind in _types(columns)],
        "data": [
            {name: row[name] for name in columns.split()} for row in rows[first : first + length]
        ],
        "paging": {"page": request["page"], "pagesFiltered": -(-len(rows) // length)},
    }


def _row(file, content):
    """Columns of a file as an observation and as its only product."""
    with _open(content) as stream:
        header = stream.read(_BLOCK)
        size = stream.seek(0, os.SEEK_END)
    number = str(zlib.crc32(file["path"].encode()))
    survey = file["survey"].upper()
    return {
        "obsid": number,
        "obsID": number,
        "obs_id": file["name"],
        "obs_collection": "HLSP",
        "provenance_name": survey,
        "project": survey,
        "dataproduct_type": "image" if file["filter"].startswith("f") else "measurements",
        "target_name": file["target"],
        "filters": file["filter"].upper(),
        "instrument_name": "ACS/WFC" if file["camera"].startswith("acs") else "WFC3/UVIS",
        "s_ra": _value(header, "CRVAL1"),
        "s_dec": _value(header, "CRVAL2"),
        "t_exptime": _value(header, "EXPTIME"),
        "dataURI": f"mast:HLSP/{file['path']}",
        "productFilename": file["path"].rpartition("/")[2],
        "productType": "SCIENCE",
        "productGroupDescription": "Minimum Recommended Products",
        "size": size,
    }


def _value(header, keyword):
    card = re.search(rf"{keyword:8}= *([-+.\dE]+)".encode(), header)
    return float(card[1]) if card else None


def _passes(row, condition):
    """Check a row against a filter of a query: a range, values, or a text with wildcards (%)."""
    value, wanted = row[condition["paramName"]], condition["values"]
    if wanted and isinstance(wanted[0], dict):
        return value is not None and wanted[0]["min"] <= value <= wanted[0]["max"]
    pattern = ".*".join(map(re.escape, condition.get("freeText", "").split("%")))
    return str(value) in wanted or re.fullmatch(pattern, str(value)) is not None


# Sample fields. The catalog of NGC 1566 has two columns of the hybrid class, the human class and
# three further columns; the others have the class and its mean, NGC 5474 also two flags.
_CENTERS = {
    "ngc1559": (64.4, -62.78),
    "ngc1566": (65.0, -54.94),
    "ngc628-c": (24.17, 15.78),
    "ngc5474": (211.25, 53.66),
}
_FILTERS = {
    "ngc1559": {"uvis": "f275w f336w f438w f555w f814w"},
    "ngc1566": {"uvis": "f275w f336w f438w f555w f814w"},
    "ngc628-c": {"uvis": "f275w f336w", "acs": "f435w f555w f814w"},
    "ngc5474": {"uvis": "f275w f336w f438w", "acs": "f606w f814w"},
}
_CLASSES = {
    "ngc1566": ("1.0 3 1.0 2.0 0.0 0.0", "2.0 4 3.0 2.0 2.0 0.0", "0.0 0 0.0 0.0 0.0 0.0"),
    "ngc628-c": ("1.0 1.333", "3.0 2.667", "0.0 0.000"),
    "ngc5474": ("1.0 1.000 1 1", "3.0 3.000 2 1", "0.0 0.000 0 0"),
}
_FITTED = "1e+07 3e+07 5e+06 8.1e+03 1.2e+04 6.3e+03 .1 .2 .0 .01 -.02 .03 -.01 .02 1.2 .8"
# 1-based position; magnitudes with errors, and concentration index; number of filters.
_SOURCES = (
    (20.25, 31.5, "21.302 .041 21.377 .038 22.540 .032 22.291 .028 21.684 .030 1.512", 5),
    (40.0, 12.75, "99.999 99.999 23.418 .122 23.905 .071 23.611 .066 22.957 .083 1.640", 4),
    (50.75, 50.0, "66.666 66.666 66.666 66.666 25.120 .214 24.873 .187 24.306 .205 1.377", 0),
)


def sample_archive():
    """Make small files with invented content, under the names and paths of LEGUS and PHANGS-HST.

    Returns
    -------
    files : dict of str to bytes
        For each LEGUS field, five images, a bundle of these, and a catalog of three sources (39
        columns for ngc1566, 35 for ngc628-c, 37 for ngc5474); for PHANGS-HST, the catalogs of DR5,
        and the candidates and five images of ngc1559.
    """
    files = _phangs_files()
    for field in _FILTERS:
        if field == "ngc1559":
            continue
        folder, images = f"/hlsps/legus/{field}", _images(field)
        files |= {f"{folder}/{name}": content for name, content in images.items()}
        files[f"{folder}/{field}_drc.tar.gz"] = _bundle(images, f"{field}_drc")
        instrument = "acs-wfc3" if "acs" in _FILTERS[field] else "wfc3"
        table = f"hlsp_legus_hst_{instrument}_{field}_multiband_v1_padagb-mwext-avgapcor.tab"
        files[f"{folder}/cluster_catalogs/deterministic/{table}"] = _catalog(field)
    return files


def simulated_archive(names, folder, *, shape=(260, 260), density=1.2e-3):
    """Simulate small fields that replace those of LEGUS.

    Parameters
    ----------
    names : sequence of str
        Names of LEGUS fields.
    folder : `~pathlib.Path`
        Existing folder in which the files are written.
    shape : tuple of int, optional
        Shape of each field, in pixels.
    density : float, optional
        Candidates per square pixel.

    Returns
    -------
    files : dict of str to `~pathlib.Path`
        Five images, the catalog and its readme for each field, by their paths in the archive.
    """
    from astroclust import find_field, simulate_field
    from astroclust.simulation import write_field

    files = {}
    for number, name in enumerate(names):
        field = find_field(name)
        drawn = simulate_field(like=name, shape=shape, seed=number, density=density)
        written = write_field(drawn, folder / name)
        parent = field.catalog.partition("/cluster_catalogs")[0]
        for path in written.images.values():
            files |= {f"/hlsps/legus/{one}/{path.name}": path for one in (field.name, parent)}
        files[f"/hlsps/legus/{field.catalog}"] = written.catalog
        files[f"/hlsps/legus/{field.catalog}".replace(".tab", ".readme")] = written.readme
    return files


def _wcs(field):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = _CENTERS[field]
    wcs.wcs.crpix = [32.5, 32.5]
    wcs.wcs.cdelt = [-0.03962 / 3600, 0.03962 / 3600]
    return wcs


def _images(field):
    rng = np.random.default_rng(0)
    target = "ngc5474-c" if field == "ngc5474" else field
    rows, columns = np.indices((64, 64)) + 1
    header = _wcs(field).to_header()
    header["EXPTIME"], header["BUNIT"] = 1100.0, "ELECTRONS/S"
    header["PHOTFLAM"], header["PHOTPLAM"] = 1.1e-19, 5921.0
    images = {}
    for camera, filters in _FILTERS[field].items():
        for name in filters.split():
            header["INSTRUME"] = "ACS" if camera == "acs" else "WFC3"
            header["FILTER"] = name.upper()
            pixels = rng.normal(0.02, 0.005, rows.shape)
            for x, y, *_ in _SOURCES:
                pixels += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)
            hdu = fits.PrimaryHDU(pixels.astype(np.float32), header)
            images[f"hlsp_legus_hst_{camera}_{target}_{name}_v1_drc.fits"] = _fits_bytes(hdu)
    return images


def _fits_bytes(hdu):
    stream = io.BytesIO()
    hdu.writeto(stream)
    return stream.getvalue()


def _bundle(contents, folder):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as bundle:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _catalog(field):
    lines = []
    for number, (x, y, magnitudes, filters) in enumerate(_SOURCES):
        ra, dec = _wcs(field).all_pix2world(x, y, 1)
        fitted = _FITTED if filters else "0 " * 16
        line = f"{number + 1} {x} {y} {ra:.5f} {dec:.5f} {magnitudes} {fitted} {filters}"
        values = f"{line} {_CLASSES[field][number]}".split()
        lines.append("".join(f"{value:>12}" for value in values) + "\n")
    return "".join(lines).encode()


# Galaxy, 0-based position, human class (a code for candidates), machine class, votes for it.
_PHANGS_SOURCES = {
    "class1+2": (
        ("ngc1559", 19.25, 30.5, 1, 1, 0.9),
        ("ngc1559", 39.0, 11.75, 2, 1, 0.6),
        ("ngc1566", 19.25, 30.5, 1, 1, 1.0),
        ("ngc1566", 39.0, 11.75, 2, 2, 0.7),
        ("ngc0628c", 49.75, 49.0, 1, 2, 0.5),
    ),
    "class3": (("ngc1559", 49.75, 49.0, 3, 3, 0.8), ("ngc1566", 49.75, 49.0, 3, 3, 0.4)),
    # The last one is also in class 1+2, 0.2 pixels away.
    "candidates": (
        ("ngc1559", 10.5, 50.25, 4, 4, 0.7),
        ("ngc1559", 30.0, 45.0, 19, 4, 0.9),
        ("ngc1559", 55.0, 20.0, -999, 4, 1.0),
        ("ngc1559", 19.25, 30.7, 5, 1, 0.3),
    ),
}


def _phangs_files():
    """Files of PHANGS-HST in the sample."""
    centers = {"ngc0628c": "ngc628-c"}
    names = ("galaxy", "x", "y", "human", "machine", "votes")
    tables = {}
    for kind, rows in _PHANGS_SOURCES.items():
        table = tables[kind] = Table(rows=rows, names=names)
        sky = [
            _wcs(centers.get(name, name)).all_pix2world(x, y, 0)
            for name, x, y in table["galaxy", "x", "y"]
        ]
        table["ra"], table["dec"] = np.array(sky, float).T
    images = {name.split("_")[5]: content for name, content in _images("ngc1559").items()}
    return _laid_out(tables, {"ngc1559": images})


def phangs_archive(sources, images):
    """Make files of PHANGS-HST: the catalogs of DR5, and candidates and images of some targets.

    Parameters
    ----------
    sources : `~astropy.table.Table`
        ``galaxy``, ``x`` and ``y`` (0-based), ``ra``, ``dec`` and ``class``, 1 to 4.
    images : dict of str to dict of str to bytes or `~pathlib.Path`
        Images by target and filter.

    Returns
    -------
    files : dict of str to bytes or `~pathlib.Path`
        Contents by path.
    """
    table = sources["galaxy", "x", "y", "ra", "dec"]
    table["human"] = table["machine"] = sources["class"]
    table["votes"] = 0.9
    kinds = {"class1+2": (1, 2), "class3": (3,), "candidates": (4,)}
    parts = {kind: table[np.isin(table["human"], numbers)] for kind, numbers in kinds.items()}
    return _laid_out(parts, images)


def _laid_out(tables, images):
    """Files by path, from tables by kind and images by target and filter."""
    dr5 = "/hlsps/phangs-cat/dr5/hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1"
    files = {
        f"{dr5}_{who}-{kind}-primary.fits": _phangs_catalog(tables[kind])
        for who in ("human", "machine")
        for kind in ("class1+2", "class3")
    }
    for target, bands in images.items():
        name = f"hlsp_phangs-cat_hst_uvis_{target}_multi_v1_obs-sed-candidates.fits"
        own = tables["candidates"][tables["candidates"]["galaxy"] == target]
        files[f"/hlsps/phangs-cat/dr4/{target}/{name}"] = _phangs_catalog(own)
        for band, content in bands.items():
            name = f"hlsp_phangs-hst_hst_wfc3-uvis_{target}_{band.lower()}_v1_exp-drc-sci.fits"
            files[f"/hlsps/phangs-hst/{target}/{name}"] = content
    return files


def _phangs_catalog(table):
    human = np.asarray(table["human"])
    columns = {
        "INDEX": np.arange(len(table)) + 1,
        "PHANGS_X": table["x"],
        "PHANGS_Y": table["y"],
        "PHANGS_RA": table["ra"],
        "PHANGS_DEC": table["dec"],
        "PHANGS_GALAXY": table["galaxy"],
        "PHANGS_CLUSTER_CLASS_HUMAN": human,
        "PHANGS_CLUSTER_CLASS_ML_VGG": table["machine"],
        "PHANGS_CLUSTER_CLASS_ML_VGG_QUAL": table["votes"],
        "PHANGS_F275W_VEGA": np.where(human == 2, -9999.0, 21.0 + human / 10),
        "PHANGS_F555W_VEGA": 22.0 + human / 10,
        "PHANGS_CI": np.full(len(table), 1.5),
    }
    columns = {name: np.asarray(values) for name, values in columns.items()}
    return _fits_bytes(fits.table_to_hdu(Table(columns)))


def main():
    """Serve a folder, or the sample, until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="folder to serve (default: an invented sample)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)"
    )
    options = parser.parse_args()
    if options.folder:
        found = [path for path in options.folder.rglob("*") if path.is_file()]
        files = {f"/{path.relative_to(options.folder).as_posix()}": path for path in found}
    else:
        files = sample_archive()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    with ArchiveServer(files, port=options.port) as server, suppress(KeyboardInterrupt):
        logger.info(server.url)
        server.stopped.wait()


if __name__ == "__main__":
    main()
