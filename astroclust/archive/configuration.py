# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Configuration of the archive: servers, folder, timeout and retries."""

from pathlib import Path

from astropy.config import ConfigItem, ConfigNamespace, get_cache_dir

__all__ = ["Conf", "archive_folder", "conf"]


class Conf(ConfigNamespace):
    """Configuration parameters, set for a session or in ``astroclust.cfg``.

    Examples
    --------
    >>> from astroclust.archive import conf
    >>> with conf.set_temp("timeout", 5.0):
    ...     print(conf.timeout)
    5.0
    """

    rootname = "astroclust"

    archive_server = ConfigItem(
        "https://archive.stsci.edu", "Server of catalogs and images.", module="astroclust"
    )
    mast_server = ConfigItem(
        "https://mast.stsci.edu", "Server of the MAST portal.", module="astroclust"
    )
    folder = ConfigItem(
        "", "Folder for downloaded files; empty for astropy's cache.", module="astroclust"
    )
    timeout = ConfigItem(
        30.0, "Seconds without data after which a connection times out.", module="astroclust"
    )
    retries = ConfigItem(5, "Number of retries after an interrupted download.", module="astroclust")
    retry_wait = ConfigItem(
        1.0, "Seconds before the first retry, doubled for each further one.", module="astroclust"
    )
    parallel = ConfigItem(4, "Number of simultaneous downloads.", module="astroclust")


conf = Conf()


def archive_folder(folder=None):
    """Folder of fetched files.

    Parameters
    ----------
    folder : str or `~pathlib.Path`, optional
        User's folder; by default ``conf.folder``, or else astropy's cache.

    Returns
    -------
    folder : `~pathlib.Path`
        Contains the folders ``legus``, with one folder per field, and ``phangs``.

    Examples
    --------
    >>> from astroclust.archive import archive_folder
    >>> print(archive_folder("data") / "legus" / "ngc1566")
    data/legus/ngc1566
    """
    if folder is None:
        folder = conf.folder or Path(get_cache_dir()) / "astroclust"
    return Path(folder).expanduser()
