# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command that plots tables."""

import numpy as np

import astroclust
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    band_system,
    read_images,
    table_of,
)

__all__ = ["add_plot"]

# Figures that require images.
_OF_IMAGES = ("field", "gallery", "examples", "reduced")
# Width in pixels of the surroundings of examples (Wei et al. 2020, Fig. 1).
_CONTEXT = 299


def add_plot(commands):
    """Add ``astroclust plot``."""
    command = add_command(
        commands,
        "plot",
        _plot,
        "plot a table",
        "astroclust plot field classified.fits --image *_drz.fits -o field.png",
        "astroclust plot gallery classified.fits --image F555W=v.fits F814W=i.fits -o gallery.png",
        "astroclust plot color-magnitude classified.fits -o cmd.pdf",
        "# the effect of using only V and I, or only V",
        "astroclust plot reduced classified.fits --image *_drz.fits -o reduced.png",
        "astroclust plot completeness completeness.fits -o completeness.png",
    )
    command.add_argument(
        "figure", choices=list(_FIGURES), metavar="FIGURE", help=", ".join(_FIGURES)
    )
    command.add_argument(
        "table",
        nargs="?",
        help="classified table; for completeness, the output of astroclust completeness",
    )
    add_images(command, required=False)
    add_output(command, "output figure: .png, .pdf, .svg, ...")
    command.add_argument("--column-prefix", default="", help="prefix of the class columns")
    command.add_argument("--model", help="classifier for reduced (default: the bundled one)")
    command.add_argument("--dpi", type=int, default=150, help="(default: 150)")


def _field(table, images, prefix):
    from astroclust.plotting import plot_field

    return plot_field(images, table, column_prefix=prefix).figure


def _gallery(table, images, prefix):
    from astroclust.plotting import plot_gallery

    return plot_gallery(table, images, column_prefix=prefix)


def _examples(table, images, prefix):
    from astroclust.plotting import plot_gallery

    return plot_gallery(table, images, per_class=1, context=_CONTEXT, column_prefix=prefix)


def _reduced(table, images, prefix, *, model):
    from astroclust import load_classifier, make_stamps
    from astroclust.attribution import reduce_input
    from astroclust.plotting import plot_reduced_input
    from astroclust.stamps import StampFlag

    classifier = load_classifier(model)
    card = classifier.card
    # In truncated stamps, part of the saliency is in the filled pixels.
    surest = table[_surest(table, prefix, avoid=StampFlag.EDGE | StampFlag.NON_FINITE)]
    stamps = make_stamps(surest, images, size=card.stamp_size, bands=card.bands)
    return plot_reduced_input(stamps, reduce_input(stamps, classifier))


def _surest(table, prefix, *, avoid):
    """Rows with the highest probability in each class, avoiding some flags if possible."""
    classes = astroclust.catalogs.columns.class_column(table, prefix)
    scheme = astroclust.instruments.classes_of(table, prefix)
    probability = astroclust.catalogs.columns.float_column(table, f"{prefix}probability")
    probability = np.nan_to_num(probability)
    if f"{prefix}flags" in table.colnames:
        flags = np.ma.filled(np.ma.asarray(table[f"{prefix}flags"]), 0)
        probability = probability - 1.0 * (flags & avoid != 0)
    members = [np.flatnonzero(classes == number) for number in scheme.numbers]
    surest = [rows[probability[rows].argmax()] for rows in members if len(rows)]
    if not surest:
        raise ValueError("no object in the table has a class; classify it with astroclust classify")
    return surest


def _map(table, _, prefix):
    from astroclust.plotting import plot_map

    return plot_map(table, column_prefix=prefix).figure


def _color_magnitude(table, filters, prefix):
    from astroclust.plotting import plot_color_magnitude

    v, i = _filters(table, filters, "V", "I")
    return plot_color_magnitude(table, color=(v, i), magnitude=v, column_prefix=prefix).figure


def _color_color(table, filters, prefix):
    from astroclust.plotting import plot_color_color

    u, b, v, i = _filters(table, filters, "U", "B", "V", "I")
    return plot_color_color(table, x=(v, i), y=(u, b), column_prefix=prefix).figure


def _luminosity_function(table, filters, prefix):
    from astroclust.plotting import plot_luminosity_function

    (v,) = _filters(table, filters, "V")
    return plot_luminosity_function(table, band=v, column_prefix=prefix).figure


def _completeness(table, _, prefix):
    from astroclust.plotting import plot_completeness

    if "radius" not in table.colnames:
        raise ValueError(
            "the table has no column radius; use the output of astroclust completeness"
        )
    return plot_completeness(table).figure


_FIGURES = {
    "field": _field,
    "gallery": _gallery,
    "examples": _examples,
    "reduced": _reduced,
    "map": _map,
    "color-magnitude": _color_magnitude,
    "color-color": _color_color,
    "luminosity-function": _luminosity_function,
    "completeness": _completeness,
}


def _filters(table, known, *roles):
    """Filters of a table with the given roles."""
    found = {}
    for filter_, role in known.items():
        if f"mag_{filter_.lower()}" in table.colnames:
            found.setdefault(role, filter_)
    missing = [role for role in roles if role not in found]
    if missing:
        wanted = [name.lower() for name, role in known.items() if role == missing[0]]
        raise ValueError(
            f"the table has no magnitudes in {', '.join(missing)}"
            + (f", such as mag_{wanted[-1]}" if wanted else "")
            + "; astroclust detect and astroclust run measure them in all bands given"
        )
    return [found[role] for role in roles]


def _plot(arguments, report):
    astroclust.files.check_output(arguments.output, overwrite=arguments.overwrite)
    if not arguments.output.suffix:
        raise ValueError(f"{arguments.output} has no file extension; use .png, .pdf or .svg")
    table = astroclust.catalogs.read_table(table_of(arguments))
    if arguments.figure in _OF_IMAGES:
        if not arguments.image:
            raise ValueError(
                f"{arguments.figure} requires images; add --image F555W=v.fits for each band"
            )
        given = read_images(arguments)
    elif arguments.image:
        raise ValueError(f"{arguments.figure} does not use images; omit --image")
    else:
        given = dict(astroclust.instruments.find_band_system(band_system(arguments)).filters)
        given |= {name.upper(): role for name, role in arguments.role}
    options = {"model": arguments.model} if arguments.figure == "reduced" else {}
    if arguments.model is not None and not options:
        raise ValueError(f"{arguments.figure} does not use a classifier; omit --model")
    figure = _FIGURES[arguments.figure](table, given, arguments.column_prefix, **options)
    with astroclust.files.replace_when_done(
        arguments.output, overwrite=arguments.overwrite
    ) as partial:
        try:
            figure.savefig(partial, dpi=arguments.dpi)
        except ValueError as error:  # a file extension that matplotlib does not support
            raise ValueError(f"cannot write {arguments.output}: {error}") from error
    report.say("wrote {output}", output=arguments.output)
