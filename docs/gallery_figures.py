# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures in the gallery: functions of astroclust return them, and pyplot does not know them."""

from sphinx_gallery.scrapers import figure_rst


def save_figure(block, block_vars, gallery_conf):
    """Save the variable ``figure`` of a block of an example, if there is one."""
    figure = block_vars["example_globals"].pop("figure", None)
    if figure is None:
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=150)
    return figure_rst([path], gallery_conf["src_dir"])
