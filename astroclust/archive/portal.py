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


def find_images(field):
    """The images that the portal has of a field of LEGUS.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.

    Returns
    -------
    images : dict of str to `~astroclust.archive.downloads.Remote`
        By filter; empty where the portal has none or cannot be asked.
    """
    try:
        return {name: remote for name, remote in map(_remote(field), _products(field)) if name}
    except ModuleNotFoundError:
        logger.info("astroquery is not installed; the images are fetched without the portal")
    except Exception as error:  # each step of a query fails in its own way; https is left
        logger.info("the portal cannot be asked for %s: %s", field.name, error)
    return {}


def _remote(field):
    """What makes the filter and the file of a product; no filter where it is no image."""
    names = "|".join({re.escape(field.name), re.escape(field.image_name)})
    pattern = rf"hlsp_legus_hst_[^_]+_({names})_(f\d+[a-z]+)_v\d+_(drc|sci)\.fits"

    def make(product):
        match = re.fullmatch(pattern, str(product["productFilename"]))
        if match is None:
            return None, None
        uri = quote(str(product["dataURI"]), safe=":/")
        size = np.ma.filled(np.ma.asarray(product["size"]), 0)
        remote = Remote(
            f"{conf.mast_server}/api/v0.1/Download/file?uri={uri}", match[0], int(size) or None
        )
        return match[2].upper(), remote

    return make


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
