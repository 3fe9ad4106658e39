# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command for visual inspection."""

import getpass
import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path

import astroclust
from astroclust.catalogs import check_table_output, read_table, write_table
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
        "# a page to be mailed",
        "astroclust review classified.fits --image V=v.fits --image I=i.fits --static page.html",
    )
    command.add_argument("table", nargs="?", help="candidates, best those of astroclust classify")
    add_images(command, required=False)
    command.add_argument(
        "--labels",
        type=Path,
        help="file to which each label adds a line (default: TABLE with the ending .labels.ecsv)",
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
        "--export", type=Path, help="write votes and mode, for astroclust train, and end"
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
        check_table_output(arguments.export, overwrite=arguments.overwrite)
    if arguments.agreement_table is not None:
        check_table_output(arguments.agreement_table, overwrite=arguments.overwrite)
    page = _page(arguments)
    if not arguments.image:
        raise ValueError(
            "a review shows the images: give --image F555W=v.fits, one a band, as to "
            "astroclust classify"
        )
    # Torch takes seconds to import: a review without a classifier does without.
    model = None if arguments.model is None else astroclust.load_classifier(arguments.model)
    table, images = read_table(table_of(arguments)), read_images(arguments, model)
    path = arguments.labels or Path(arguments.table).with_suffix(".labels.ecsv")
    if path.resolve() == Path(arguments.table).resolve():
        raise ValueError(f"--labels {path} is the table itself: name another file")
    if arguments.static is not None:
        _write_page(arguments, report, table, images, page)
    compared = arguments.agreement or arguments.agreement_table is not None
    if arguments.export is not None or arguments.add_labels or compared:
        _keep_labels(arguments, report, table, images, path)
    if arguments.static is not None or arguments.export is not None or compared:
        return
    # Ctrl-C is how it ends.
    with _serve(arguments, table, images, path, model, page) as server, suppress(KeyboardInterrupt):
        if arguments.port is None and server.port != DEFAULT_PORT:
            report.say("port {} is in use", DEFAULT_PORT)
        _say_labels(arguments, report, server.store, path)
        report.say("{objects} objects at {url} - Ctrl-C ends", objects=len(table), url=server.url)
        report.end()
        if not arguments.no_browser and _has_screen():
            webbrowser.open(server.url)
        server.wait()
    report.say("ended; all labels are in {labels}", labels=path)


def _say_labels(arguments, report, store, path):
    kept, n_unmatched = len(store.entries), store.n_unmatched
    text = "labels go to {labels}" + (", which has {kept} already" if kept else "")
    report.say(text, labels=path, kept=kept)
    text = "{n_unmatched} labels there belong to no row of {}" if n_unmatched else ""
    report.say(text, arguments.table, n_unmatched=n_unmatched)


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


def _page(arguments):
    from astroclust.review import Page

    return Page(
        title=Path(table_of(arguments)).name,
        size=arguments.size,
        blind=arguments.blind,
        order=arguments.order,
        seed=arguments.seed,
        distance=arguments.distance,
    )


def _write_page(arguments, report, table, images, page):
    from astroclust.review import DETAILED, write_review

    n_bytes = write_review(
        table,
        images,
        arguments.static,
        column_prefix=arguments.column_prefix,
        page=page,
        overwrite=arguments.overwrite,
    )
    if len(table) > DETAILED:
        report.say(
            "more than {} objects: their pictures are in colour alone, without curves", DETAILED
        )
    report.say("wrote {static} ({:.1f} MB)", n_bytes / 1e6, static=arguments.static, bytes=n_bytes)


def _keep_labels(arguments, report, table, images, path):
    """Take in labels of others, write votes, compare reviewers."""
    from astroclust.review import open_labels

    store = open_labels(table, images, path)
    added = {other: store.merge(other) for other in arguments.add_labels}
    for other, n in added.items():
        report.say("{} labels of {} are new in {}", n, other, path)
    report.say("", labels=path, added=added)
    if arguments.export is not None:
        votes = store.table()
        write_table(votes, arguments.export, overwrite=arguments.overwrite)
        report.say(
            "{voted} objects with votes or notes, {with_mode} of them with a mode",
            voted=len(votes),
            with_mode=(~votes["class_mode"].mask).sum(),
        )
        report.say("wrote {export}", export=arguments.export)
    if arguments.agreement or arguments.agreement_table is not None:
        _compare(arguments, report, store.agreement())


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
        write_table(agreement.table(), arguments.agreement_table, overwrite=arguments.overwrite)
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
