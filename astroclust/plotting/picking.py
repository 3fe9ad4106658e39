# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labels of table rows whose markers are clicked."""

import numpy as np

__all__ = ["name_rows_on_click"]

# Maximum distance of a click from a marker, in screen pixels.
_REACH = 12


def name_rows_on_click(image, x, y, names):
    """Show a label next to a marker that is clicked.

    Parameters
    ----------
    image : `~matplotlib.image.AxesImage`
        Image that receives the clicks.
    x, y : `~numpy.ndarray` of float, shape (n,)
        Positions of the markers, in the data coordinates of its axes.
    names : sequence of str, length n
        Label of each marker.

    Returns
    -------
    label : `~matplotlib.text.Annotation`
        Label, visible after a click on a marker and hidden after a click elsewhere.
    """
    ax = image.axes
    positions = np.column_stack([x, y])
    label = ax.annotate(
        "",
        (0, 0),
        xytext=(12, 12),
        textcoords="offset points",
        color="white",
        fontsize=9,
        bbox={"boxstyle": "round", "facecolor": "black", "edgecolor": "white", "alpha": 0.8},
        visible=False,
        zorder=10,
    )

    def nearest(_, event):
        """Accept any click on the image; ``row`` is None if it is not on a marker."""
        if event.inaxes is not ax:
            return False, {}
        distance = np.hypot(*(ax.transData.transform(positions) - (event.x, event.y)).T)
        distance = np.where(np.isfinite(distance), distance, np.inf)
        near = len(distance) and distance.min() <= _REACH
        return True, {"row": int(distance.argmin()) if near else None}

    def show(event):
        if event.artist is not image:
            return
        label.set_visible(event.row is not None)
        if event.row is not None:
            label.set_text(names[event.row])
            label.xy = positions[event.row]
        ax.figure.canvas.draw_idle()

    image.set_picker(nearest)
    ax.figure.canvas.mpl_connect("pick_event", show)
    return label
