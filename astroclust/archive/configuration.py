# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Settings of the archive: servers, folder, patience."""

from astropy.config import ConfigItem, ConfigNamespace

__all__ = ["Conf", "conf"]


class Conf(ConfigNamespace):
    """Settings that a user may change, for a session or in ``astroclust.cfg``.

    Examples
    --------
    >>> from astroclust.archive import conf
    >>> with conf.set_temp("timeout", 5.0):
    ...     print(conf.timeout)
    5.0
    """

    rootname = "astroclust"

    archive_server = ConfigItem(
        "https://archive.stsci.edu", "Server of catalogues and images.", module="astroclust"
    )
    mast_server = ConfigItem(
        "https://mast.stsci.edu", "Server of the MAST portal.", module="astroclust"
    )
    folder = ConfigItem(
        "", "Folder of what is fetched; empty: that of astropy's cache.", module="astroclust"
    )
    timeout = ConfigItem(
        30.0, "Seconds without a byte after which a connection is given up.", module="astroclust"
    )
    retries = ConfigItem(
        5, "How often a file that broke off is asked for again.", module="astroclust"
    )
    retry_wait = ConfigItem(
        1.0, "Seconds before the first of them; each next waits twice as long.", module="astroclust"
    )
    parallel = ConfigItem(4, "Files that are fetched at a time.", module="astroclust")


conf = Conf()
