# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The images of a field as the MAST portal lists them, asked for with astroquery."""

import logging
import re
import warnings
from functools import partial
from urllib.parse import quote

import numpy as np

from astroclust.archive.configuration import conf
from astroclust.archive.downloads import Remote

__all__ = ["find_images"]

logger = logging.getLogger(__name__)


def find_images(field, pattern):
    """The images that the portal has of a field of LEGUS.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.
    pattern : str
        Regular expression of the names of its images; the filter is the second group.

    Returns
    -------
    images : dict of str to `~astroclust.archive.downloads.Remote`
        By filter; empty where the portal has none or cannot be asked.
    """
    try:
        found = [
            (re.fullmatch(pattern, str(product["productFilename"])), product)
            for product in _products(field)
        ]
        return {match[2].upper(): _remote(product) for match, product in found if match}
    except ModuleNotFoundError:
        logger.info("astroquery is not installed; the images are fetched without the portal")
    except Exception as error:  # each step of a query fails in its own way; https is left
        logger.info("the portal cannot be asked for %s: %s", field.name, error)
    return {}


def _remote(product):
    uri = quote(str(product["dataURI"]), safe=":/")
    size = np.ma.filled(np.ma.asarray(product["size"]), 0)
    return Remote(
        f"{conf.mast_server}/api/v0.1/Download/file?uri={uri}",
        str(product["productFilename"]),
        int(size) or None,
    )


def _products(field):
    observations = _observations()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are none is said by an empty table
        found = observations.query_criteria(
            obs_collection="HLSP",
            provenance_name="LEGUS",
            target_name=sorted({field.name, field.image_name}),
        )
    return observations.get_product_list(found) if len(found) else []


def _observations():
    """The client of astroquery, for the server of the configuration."""
    from astroquery.mast import ObservationsClass  # an extra; `find_images` does without

    observations = ObservationsClass()
    portal = observations._portal_api_connection
    # The addresses are made of the server when astroquery is imported. Those of this client alone
    # are set anew, and its cache of column names is its own.
    portal.MAST_REQUEST_URL = f"{conf.mast_server}/api/v0/invoke"
    portal.COLUMNS_CONFIG_URL = f"{conf.mast_server}/portal/Mashup/Mashup.asmx/columnsconfig"
    portal._column_configs = {}
    portal.TIMEOUT = conf.timeout
    # astroquery waits for ever where a server stalls.
    session = portal._session
    session.request = partial(session.request, timeout=conf.timeout)
    return observations
