# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command for visual inspection."""

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
        "look at candidates in the browser, and label them",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits",
        "# labels of all reviewers together, as a table to train on",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --add-labels ben.labels.ecsv --export votes.ecsv",
        "# without bias: classes hidden until an object is labeled, in random order",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits --blind \\",
        "    --order random",
        "# a high-certainty subset: objects above a probability, confirmed or rejected by eye",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --confirm 0.9",
        "astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --confirm 0.9 --export confirmed.fits",
        "# a page to be mailed",
        "astroclust review classified.fits --image V=v.fits --image I=i.fits --static page.html",
    )
    command.add_argument("table", nargs="?", help="candidates, best those of astroclust classify")
    add_images(command, required=False)
    command.add_argument(
        "--labels",
        type=Path,
        help="file to which each label adds a line (default: TABLE with the ending .labels.ecsv, "
        "or .confirm.ecsv)",
    )
    command.add_argument("--reviewer", help="your name (default: that of your account)")
    command.add_argument(
        "--add-labels",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="take in the labels of another reviewer's file; may be given more than once",
    )
    command.add_argument(
        "--export",
        type=Path,
        help="write votes and mode, for astroclust train, or the confirmed objects, and end",
    )
    command.add_argument(
        "--static", type=Path, help="write one page that needs no server, to be mailed, and end"
    )
    command.add_argument(
        "--agreement",
        action="store_true",
        help="say how far reviewers agree: Cohen's and Fleiss' kappa, and end",
    )
    command.add_argument(
        "--agreement-table", type=Path, metavar="FILE", help="write that as a table, and end"
    )
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the files of --export, --agreement-table and --static",
    )
    command.add_argument(
        "--blind",
        action="store_true",
        help="hide class, probabilities, saliency and the labels of others until you have labeled "
        "an object",
    )
    threshold = command.add_mutually_exclusive_group()
    threshold.add_argument(
        "--confirm",
        type=float,
        metavar="PROBABILITY",
        help="show only objects whose class has at least this probability, to be confirmed or "
        "rejected",
    )
    threshold.add_argument(
        "--confirm-purity",
        type=float,
        metavar="PURITY",
        help="the same with the lowest probability that gives this expected purity",
    )
    command.add_argument(
        "--order",
        choices=("table", "uncertainty", "random"),
        default="table",
        help="order of the objects at first (default: table)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the random order (default: 0)")
    command.add_argument(
        "--distance",
        type=float,
        metavar="MPC",
        help="distance for scale bars in pc (default: DISTANCE in the metadata of the table)",
    )
    command.add_argument("--model", help="classifier whose saliency is shown")
    command.add_argument("--column-prefix", default="", help="that of the columns of classes")
    command.add_argument("--size", type=int, default=50, help="of stamps in pixels (default: 50)")
    command.add_argument("--port", type=int, help="(default: 8710, or the next that is free)")
    command.add_argument("--no-browser", action="store_true", help="only say the address")


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
            "a review shows the images: give --image F555W=v.fits, one a band, as to "
            "astroclust classify"
        )
    # Torch takes seconds to import: a review without a classifier does without.
    model = None if arguments.model is None else astroclust.load_classifier(arguments.model)
    table, images = (
        astroclust.catalogs.read_table(table_of(arguments)),
        read_images(arguments, model),
    )
    page = _page(arguments, _threshold(arguments, report, table, model))
    suffix = ".labels.ecsv" if page.confirm is None else ".confirm.ecsv"
    path = arguments.labels or Path(arguments.table).with_suffix(suffix)
    if path.resolve() == Path(arguments.table).resolve():
        raise ValueError(f"--labels {path} is the table itself: name another file")
    if arguments.static is not None:
        _write_page(arguments, report, table, images, page)
    compared = arguments.agreement or arguments.agreement_table is not None
    if arguments.export is not None or arguments.add_labels or compared:
        _keep_labels(arguments, report, table, images, path, page)
    if arguments.static is not None or arguments.export is not None or compared:
        return
    # Ctrl-C is how it ends.
    with _serve(arguments, table, images, path, model, page) as server, suppress(KeyboardInterrupt):
        if arguments.port is None and server.port != DEFAULT_PORT:
            report.say("port {} is in use", DEFAULT_PORT)
        _say_labels(arguments, report, server.store, path)
        n = len(server.objects)
        report.say("{objects} objects at {url} - Ctrl-C ends", objects=n, url=server.url)
        report.end()
        if not arguments.no_browser and _has_screen():
            webbrowser.open(server.url)
        server.wait()
    report.say("ended; all labels are in {labels}", labels=path)


def _say_labels(arguments, report, store, path):
    from astroclust.review.confirmation import CONFIRMATION

    kept, n_unmatched = len(store.entries), store.n_unmatched
    text = "labels go to {labels}" + (", which has {kept} already" if kept else "")
    report.say(text, labels=path, kept=kept)
    text = "{n_unmatched} labels there belong to no {} of {}" if n_unmatched else ""
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
    """The lowest probability of what is confirmed, or None."""
    if arguments.confirm_purity is None:
        return arguments.confirm
    from astroclust.review import purity_cut

    card = _card_of(table, arguments.column_prefix, model)
    if "ece" not in card.scores:
        raise ValueError(
            f"the card of {card.name} has no calibration error, so its probabilities say nothing "
            "of the purity: give a probability with --confirm"
        )
    prefix, purity = arguments.column_prefix, arguments.confirm_purity
    threshold = purity_cut(table, purity, column_prefix=prefix)
    report.say(
        "probabilities from {threshold!r} have a mean of {} or more; calibration error of {}: "
        "{:.3f}",
        purity,
        card.name,
        card.scores["ece"],
        threshold=threshold,
    )
    return threshold


def _card_of(table, prefix, model):
    """Card of the classifier that made the columns of a table, if it is given or bundled."""
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
            "an expected purity rests on the calibration of the classifier that made the table, "
            "which is not a bundled one: give its file with --model, or a probability with "
            "--confirm"
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
            "more than {} objects: their pictures are in colour alone, without curves", DETAILED
        )
    report.say("wrote {static} ({:.1f} MB)", n_bytes / 1e6, static=arguments.static, bytes=n_bytes)


def _keep_labels(arguments, report, table, images, path, page):
    """Take in labels of others, write votes or what they confirm, compare reviewers."""
    from astroclust.review import open_labels

    prefix = arguments.column_prefix
    store = open_labels(table, images, path, column_prefix=prefix, page=page)
    added = {other: store.merge(other) for other in arguments.add_labels}
    for other, n in added.items():
        report.say("{} labels of {} are new in {}", n, other, path)
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
        report.say("fewer than two reviewers have labeled objects: there is nothing to compare")
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
    """All of a table as text, with numbers of two digits."""
    shown = table.copy()
    for column in shown.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".2f"
    return "\n".join(shown.pformat(max_lines=-1, max_width=-1))


def _account():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        return ""


def _has_screen():
    """Whether a browser would open a window, not take over the terminal."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
