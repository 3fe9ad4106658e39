# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Query the MAST portal for files of observations, with astroquery or else over https."""

import json
import logging
import time

import requests

from astroclust.archive.configuration import conf
from astroclust.archive.mast import list_products
from astroclust.archive.remotes import Remote

__all__ = ["find_products"]

logger = logging.getLogger(__name__)

_PAGE_SIZE = 50_000  # rows; a field has about ten images


def find_products(targets):
    """Find the high-level science products of a target in the MAST portal.

    Parameters
    ----------
    targets : sequence of str
        Spellings of the name of the target.

    Returns
    -------
    products : list of `~astroclust.archive.downloads.Remote`
        The files; empty if the portal has none or does not answer.

    Raises
    ------
    ImportError
        If astroquery is not installed.
    """
    criteria = {"obs_collection": ["HLSP"], "target_name": sorted({*targets})}
    for ask in (list_products, _ask_over_https):
        try:
            return [_remote(product) for product in ask(criteria)]
        except ImportError:
            raise
        except Exception as error:  # queries raise many types; try the other one
            logger.info("the MAST portal did not answer %s: %r", targets[0], error)
    return []


def _remote(product):
    return Remote.of_uri(
        str(product["dataURI"]),
        name=str(product["productFilename"]),
        size=int(product["size"] or 0) or None,  # a masked size is unknown
    )


def _ask_over_https(criteria):
    """Query products without astroquery."""
    filters = [{"paramName": name, "values": values} for name, values in criteria.items()]
    found = _query("Mast.Caom.Filtered", {"columns": "*", "filters": filters})
    numbers = ",".join(str(observation["obsid"]) for observation in found)
    return _query("Mast.Caom.Products", {"obsid": numbers}) if found else []


def _query(service, params):
    """Rows of a query; see https://mast.stsci.edu/api/v0/_services.html."""
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
