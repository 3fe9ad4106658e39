# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command for visual inspection."""

import getpass
import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path

import astroclust
from astroclust.cli.options import add_command, add_images, read_images, table_of

__all__ = ["add_review"]


def add_review(commands):
    """Add ``astroclust review``."""
    command = add_command(
        commands,
        "review",
        _review,
        "inspect and label candidates in the browser",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits",
        "# combine the labels of all reviewers into a table for training",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --add-labels ben.labels.ecsv --export votes.ecsv",
        "# blind: classes hidden until an object is labeled, in random order",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits --blind \\",
        "    --order random",
        "# a high-purity subset: objects above a probability, confirmed or rejected by visual "
        "inspection",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --confirm 0.9",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --confirm 0.9 --export confirmed.fits",
        "# a self-contained page",
        "astroclust review classified.fits --image V=v.fits --image I=i.fits --static page.html",
    )
    command.add_argument(
        "table", nargs="?", help="table of candidates, preferably from astroclust classify"
    )
    add_images(command, required=False)
    command.add_argument(
        "--labels",
        type=Path,
        help="label file, to which lines are appended (default: TABLE with the ending "
        ".labels.ecsv, or .confirm.ecsv)",
    )
    command.add_argument("--reviewer", help="reviewer name (default: your user name)")
    command.add_argument(
        "--add-labels",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="merge the label file of another reviewer; repeatable",
    )
    command.add_argument(
        "--export",
        type=Path,
        help="write votes and their mode, for astroclust train, or the confirmed objects, and exit",
    )
    command.add_argument(
        "--static", type=Path, help="write a self-contained page that needs no server, and exit"
    )
    command.add_argument(
        "--agreement",
        action="store_true",
        help="print the agreement of reviewers, Cohen's and Fleiss' kappa, and exit",
    )
    command.add_argument(
        "--agreement-table",
        type=Path,
        metavar="FILE",
        help="write the agreement as a table, and exit",
    )
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="overwrite the files of --export, --agreement-table and --static",
    )
    command.add_argument(
        "--blind",
        action="store_true",
        help="hide class, probabilities, saliency and the labels of others until an object is "
        "labeled",
    )
    threshold = command.add_mutually_exclusive_group()
    threshold.add_argument(
        "--confirm",
        type=float,
        metavar="PROBABILITY",
        help="confirm or reject objects whose class has at least this probability",
    )
    threshold.add_argument(
        "--confirm-purity",
        type=float,
        metavar="PURITY",
        help="the same, with the lowest probability that gives this expected purity",
    )
    command.add_argument(
        "--order",
        choices=("table", "uncertainty", "random"),
        default="table",
        help="initial order of the objects (default: table)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="seed of the random order (default: 0)"
    )
    command.add_argument(
        "--distance",
        type=float,
        metavar="MPC",
        help="distance in Mpc for scale bars in pc (default: DISTANCE in the table metadata)",
    )
    command.add_argument("--model", help="classifier for saliency maps")
    command.add_argument("--column-prefix", default="", help="prefix of the class columns")
    command.add_argument(
        "--size", type=int, default=50, help="width of stamps in pixels (default: 50)"
    )
    command.add_argument(
        "--port", type=int, help="port of the server (default: 8710, or the next free one)"
    )
    command.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _review(arguments, report):
    from astroclust.review import DEFAULT_PORT

    if arguments.export is not None:
        astroclust.catalogs.check_table_output(arguments.export, overwrite=arguments.overwrite)
    if arguments.agreement_table is not None:
        astroclust.catalogs.check_table_output(
            arguments.agreement_table, overwrite=arguments.overwrite
        )
    if not arguments.image:
        raise ValueError(
            "a review requires images; add --image F555W=v.fits for each band, as for astroclust "
            "classify"
        )
    # Torch takes seconds to import and is only needed with a classifier.
    model = None if arguments.model is None else astroclust.load_classifier(arguments.model)
    table, images = (
        astroclust.catalogs.read_table(table_of(arguments)),
        read_images(arguments, model),
    )
    page = _page(arguments, _threshold(arguments, report, table, model))
    suffix = ".labels.ecsv" if page.confirm is None else ".confirm.ecsv"
    path = arguments.labels or Path(arguments.table).with_suffix(suffix)
    if path.resolve() == Path(arguments.table).resolve():
        raise ValueError(f"--labels {path} is the table itself; choose another file")
    if arguments.static is not None:
        _write_page(arguments, report, table, images, page)
    compared = arguments.agreement or arguments.agreement_table is not None
    if arguments.export is not None or arguments.add_labels or compared:
        _keep_labels(arguments, report, table, images, path, page)
    if arguments.static is not None or arguments.export is not None or compared:
        return
    # stopped by Ctrl-C
    with _serve(arguments, table, images, path, model, page) as server, suppress(KeyboardInterrupt):
        if arguments.port is None and server.port != DEFAULT_PORT:
            report.say("port {} is in use", DEFAULT_PORT)
        _say_labels(arguments, report, server.store, path)
        n = len(server.objects)
        report.say("{objects} objects at {url} - press Ctrl-C to quit", objects=n, url=server.url)
        report.end()
        if not arguments.no_browser and _has_screen():
            webbrowser.open(server.url)
        server.wait()
    report.say("stopped; all labels are in {labels}", labels=path)


def _say_labels(arguments, report, store, path):
    from astroclust.review.confirmation import CONFIRMATION

    kept, n_unmatched = len(store.entries), store.n_unmatched
    text = "labels are saved in {labels}" + (", which already has {kept}" if kept else "")
    report.say(text, labels=path, kept=kept)
    text = "{n_unmatched} labels in the file do not match an {} of {}" if n_unmatched else ""
    what = "row" if store.scheme is not CONFIRMATION else "object with that probability"
    report.say(text, what, arguments.table, n_unmatched=n_unmatched)


def _serve(arguments, table, images, path, model, page):
    return astroclust.review_table(
        table,
        images,
        labels=path,
        reviewer=arguments.reviewer or _account(),
        column_prefix=arguments.column_prefix,
        model=model,
        port=arguments.port,
        page=page,
    )


def _threshold(arguments, report, table, model):
    """Lowest probability for a confirmation, or None."""
    if arguments.confirm_purity is None:
        return arguments.confirm
    from astroclust.review import purity_cut

    card = _card_of(table, arguments.column_prefix, model)
    if "ece" not in card.scores:
        raise ValueError(
            f"the card of {card.name} has no calibration error, so the purity cannot be "
            "predicted; set a probability with --confirm"
        )
    prefix, purity = arguments.column_prefix, arguments.confirm_purity
    threshold = purity_cut(table, purity, column_prefix=prefix)
    report.say(
        "probabilities of at least {threshold!r} have a mean of {} or more; calibration error of "
        "{}: {:.3f}",
        purity,
        card.name,
        card.scores["ece"],
        threshold=threshold,
    )
    return threshold


def _card_of(table, prefix, model):
    """Card of the classifier of a table, if it is given or bundled."""
    from astroclust.weights import list_classifiers

    known = [*list_classifiers().values(), *([] if model is None else [model.card])]
    cards = {card.sha256[:16]: card for card in known}
    digests = [
        digest
        for key, digest in table.meta.items()
        if str(key).startswith("ACSHA")
        and table.meta.get(f"ACPREF{key.removeprefix('ACSHA')}", "") == prefix
    ]
    if not digests or digests[-1] not in cards:
        raise ValueError(
            "an expected purity requires the calibration of the classifier of the table, which is "
            "not bundled; set its file with --model, or a probability with --confirm"
        )
    return cards[digests[-1]]


def _page(arguments, threshold):
    from astroclust.review import Page

    return Page(
        title=Path(table_of(arguments)).name,
        size=arguments.size,
        blind=arguments.blind,
        order=arguments.order,
        seed=arguments.seed,
        distance=arguments.distance,
        confirm=threshold,
    )


def _write_page(arguments, report, table, images, page):
    from astroclust.review import DETAILED, write_review
    from astroclust.review.confirmation import select_certain

    n_bytes = write_review(
        table,
        images,
        arguments.static,
        column_prefix=arguments.column_prefix,
        page=page,
        overwrite=arguments.overwrite,
    )
    n = len(table)
    if page.confirm is not None:
        n = len(select_certain(table, page.confirm, column_prefix=arguments.column_prefix))
    if n > DETAILED:
        report.say(
            "more than {} objects: only color pictures are included, without curves", DETAILED
        )
    report.say("wrote {static} ({:.1f} MB)", n_bytes / 1e6, static=arguments.static, bytes=n_bytes)


def _keep_labels(arguments, report, table, images, path, page):
    """Merge labels of others, export votes or confirmed objects, and compare reviewers."""
    from astroclust.review import open_labels

    prefix = arguments.column_prefix
    store = open_labels(table, images, path, column_prefix=prefix, page=page)
    added = {other: store.merge(other) for other in arguments.add_labels}
    for other, n in added.items():
        report.say("{} labels of {} were added to {}", n, other, path)
    report.say("", labels=path, added=added)
    if arguments.export is not None and page.confirm is not None:
        _export_confirmed(arguments, report, table, images, path, page)
    elif arguments.export is not None:
        votes = store.table()
        astroclust.catalogs.write_table(votes, arguments.export, overwrite=arguments.overwrite)
        report.say(
            "{voted} objects with votes or notes, {with_mode} of them with a mode",
            voted=len(votes),
            with_mode=(~votes["class_mode"].mask).sum(),
        )
        report.say("wrote {export}", export=arguments.export)
    if arguments.agreement or arguments.agreement_table is not None:
        _compare(arguments, report, store.agreement())


def _export_confirmed(arguments, report, table, images, path, page):
    from astroclust.review import confirmed_subset

    prefix = arguments.column_prefix
    subset, counts = confirmed_subset(
        table, images, path, confirm=page.confirm, column_prefix=prefix
    )
    astroclust.catalogs.write_table(subset, arguments.export, overwrite=arguments.overwrite)
    report.say(
        "{before} of {} objects have a probability of {} or more; {confirmed} of them are "
        "confirmed, {rejected} rejected, {open} open\n{counts}",
        len(table),
        page.confirm,
        **{name: int(counts[name].sum()) for name in ("before", "confirmed", "rejected", "open")},
        counts=counts,
    )
    report.say("wrote {export}", export=arguments.export)


def _compare(arguments, report, agreement):
    fleiss = agreement.fleiss
    if len(agreement.labeled) < 2:
        report.say("fewer than two reviewers have labeled objects, so agreement cannot be computed")
    else:
        report.say("{}", _shown(agreement.pairs))
        for (a, b), matrix in agreement.matrices.items():
            report.say("\nclasses by {} (rows) and {} (columns)\n{}", a, b, _shown(matrix))
        report.say("\nFleiss' kappa of all reviewers: {}", fleiss)
    report.say(
        "",
        reviewers=agreement.labeled,
        pairs=agreement.table(),
        fleiss_kappa=fleiss.value,
        fleiss_error=fleiss.error,
        fleiss_objects=fleiss.n,
    )
    if arguments.agreement_table is not None:
        astroclust.catalogs.write_table(
            agreement.table(), arguments.agreement_table, overwrite=arguments.overwrite
        )
        report.say("wrote {agreement_table}", agreement_table=arguments.agreement_table)


def _shown(table):
    """Format a complete table as text, with two decimals."""
    shown = table.copy()
    for column in shown.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".2f"
    return "\n".join(shown.pformat(max_lines=-1, max_width=-1))


def _account():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no user name, as in some containers
        return ""


def _has_screen():
    """Whether a browser would open a window instead of taking over the terminal."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
