# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Find the images of a field in the MAST portal."""

import json
import logging
import re
import time
import warnings
from concurrent.futures import Future
from threading import Thread
from urllib.parse import quote

import requests

from astroclust.archive.configuration import conf
from astroclust.archive.downloads import Remote

__all__ = ["find_images"]

logger = logging.getLogger(__name__)

_PAGE_SIZE = 50_000  # rows; a field has some ten images


def find_images(field, pattern):
    """Find the images of a LEGUS field in the MAST portal.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.
    pattern : str
        Regular expression that matches the names of the images; its second group is the filter.

    Returns
    -------
    images : dict of str to `~astroclust.archive.downloads.Remote`
        The images by filter; empty if the portal has none or does not answer.
    """
    for ask in (_ask_astroquery, _ask_over_https):
        try:
            found = [
                (re.fullmatch(pattern, str(product["productFilename"])), product)
                for product in ask(field)
            ]
            return {match[2].upper(): _remote(product) for match, product in found if match}
        except Exception as error:  # a query fails in many ways; there is another one
            logger.info("no answer from the MAST portal for %s: %r", field.name, error)
    return {}


def _remote(product):
    uri = quote(str(product["dataURI"]), safe=":/")
    return Remote(
        f"{conf.mast_server}/api/v0.1/Download/file?uri={uri}",
        str(product["productFilename"]),
        int(product["size"] or 0) or None,  # of a masked size nothing is known,
    )


def _wanted(field):
    """Criteria of the observations of a field."""
    return {
        "obs_collection": ["HLSP"],
        "provenance_name": ["LEGUS"],
        "target_name": sorted({field.name, field.image_name}),
    }


def _ask_astroquery(field):
    """Products by astroquery, which has a server of its own in its configuration."""
    from astroquery.mast import Observations
    from astroquery.mast import conf as mast

    if mast.server.rstrip("/") != conf.mast_server:
        raise LookupError(f"astroquery asks {mast.server}, not {conf.mast_server}")

    def ask():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty table says that there are none
            found = Observations.query_criteria(**_wanted(field))
        return Observations.get_product_list(found) if len(found) else []

    return _within(2 * conf.timeout, ask)  # two queries, which wait for a stalled server for ever


def _within(seconds, function):
    """Call a function; a `TimeoutError` after so many seconds."""
    future = Future()

    def run():
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _ask_over_https(field):
    """Products without astroquery."""
    wanted = _wanted(field)
    filters = [{"paramName": name, "values": values} for name, values in wanted.items()]
    found = _query("Mast.Caom.Filtered", {"columns": "*", "filters": filters})
    numbers = ",".join(str(observation["obsid"]) for observation in found)
    return _query("Mast.Caom.Products", {"obsid": numbers}) if found else []


def _query(service, params):
    """The rows of a query, as https://mast.stsci.edu/api/v0/_services.html describes them."""
    query = {"service": service, "params": params, "format": "json", "page": 1}
    query = json.dumps(query | {"pagesize": _PAGE_SIZE})
    for attempt in range(conf.retries + 1):
        response = requests.post(
            f"{conf.mast_server}/api/v0/invoke", data={"request": query}, timeout=conf.timeout
        )
        response.raise_for_status()
        answer = response.json()
        if answer["status"] != "EXECUTING":
            break
        time.sleep(conf.retry_wait * 2**attempt)
    if answer["status"] != "COMPLETE":
        raise OSError(f"{service}: {answer['status']} {answer.get('msg', '')}")
    return answer["data"]
