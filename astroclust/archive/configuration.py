# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Settings of the archive: servers, folder, patience."""

from pathlib import Path

from astropy.config import ConfigItem, ConfigNamespace, get_cache_dir

__all__ = ["Conf", "archive_folder", "conf"]


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


def archive_folder(folder=None):
    """The folder in which fetched files are kept.

    Parameters
    ----------
    folder : str or `~pathlib.Path`, optional
        That of the user; by default ``conf.folder``, or else the cache of astropy.

    Returns
    -------
    folder : `~pathlib.Path`
        It has a folder ``legus`` with one for each field, and a folder ``phangs``.

    Examples
    --------
    >>> from astroclust.archive import archive_folder
    >>> print(archive_folder("data") / "legus" / "ngc1566")
    data/legus/ngc1566
    """
    if folder is None:
        folder = conf.folder or Path(get_cache_dir()) / "astroclust"
    return Path(folder).expanduser()
