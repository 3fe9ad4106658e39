# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command line: parse, call, write."""

import argparse
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.catalogs import CLASSES, check_table_output, read_table, write_table
from astroclust.files import check_output, replace_when_done
from astroclust.images import ImageSet, read_image

__all__ = ["main"]

_EXAMPLES = """\
examples:
  astroclust demo
  astroclust fetch ngc1566
  astroclust detect --image F555W=v.fits --image F814W=i.fits -o candidates.fits
  astroclust classify candidates.fits --image F555W=v.fits --image F814W=i.fits -o classified.fits

An image is a file or a URL, with the extension in brackets where it matters: "i.fits[SCI]".
"""


def main(argv=None):
    """Run ``astroclust``.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    status : int
        0 where all went well, 1 where something was wrong with the input, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", AstropyUserWarning)
        warnings.showwarning = _show_warning
        try:
            arguments.run(arguments)
        except KeyboardInterrupt:
            return _fail("interrupted; no output was left half written", 130)
        except ModuleNotFoundError as error:
            return _fail(f'{error.name} is not installed: python -m pip install "astroclust[all]"')
        except (OSError, ValueError, TypeError, KeyError) as error:
            return _fail(error.args[0] if isinstance(error, KeyError) else error)
    return 0


def _fail(message, status=1):
    print(f"astroclust: {message}", file=sys.stderr)
    return status


def _show_warning(message, *_):
    print(f"astroclust: warning: {message}", file=sys.stderr)


def _parser():
    parser = argparse.ArgumentParser(
        prog="astroclust",
        description=astroclust.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=astroclust.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_fetch(commands)
    _add_samples(commands)
    _add_detect(commands)
    _add_completeness(commands)
    _add_classify(commands)
    _add_train(commands)
    return parser


def _add_command(commands, name, run, summary):
    command = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    command.set_defaults(run=run)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    return command


def _add_images(command):
    command.add_argument(
        "--image",
        action="append",
        required=True,
        type=_pair,
        metavar="FILTER=FILE",
        help="image of a band; once for each band",
    )
    command.add_argument(
        "--role",
        action="append",
        default=[],
        type=_pair,
        metavar="FILTER=BAND",
        help="band (NUV, U, B, V or I) that a filter unknown to astroclust stands for",
    )
    command.add_argument("-o", "--output", type=Path, required=True, help="table to write")
    command.add_argument("--overwrite", action="store_true", help="replace the output")


def _pair(text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as F555W=v.fits, not {text!r}")
    return name, value


def _read_images(arguments):
    names = [name for name, _ in arguments.image]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--image {name} is given more than once")
    return ImageSet.read(dict(arguments.image), roles=dict(arguments.role))


# ---------------------------------------------------------------------------------------------


def _add_classify(commands):
    command = _add_command(
        commands, "classify", _classify, "classify the candidates of a table on its images"
    )
    command.add_argument("table", help="candidates, with x and y (from 0) or ra and dec")
    _add_images(command)
    command.add_argument("--model", help="name or .safetensors file of a classifier")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument("--batch-size", type=int, help="stamps in memory at a time")
    command.add_argument("--column-prefix", default="", help="put before the new columns' names")


def _classify(arguments):
    check_table_output(arguments.output, overwrite=arguments.overwrite)
    table = read_table(arguments.table)
    images = _read_images(arguments)
    classifier = astroclust.load_classifier(arguments.model)
    result = astroclust.classify_table(
        table,
        images,
        model=classifier,
        column_prefix=arguments.column_prefix,
        device=arguments.device,
        batch_size=arguments.batch_size,
        progress_bar=not arguments.quiet,
    )
    write_table(result, arguments.output, overwrite=arguments.overwrite)
    _print_counts(result[f"{arguments.column_prefix}class"], classifier)
    _print_notice(classifier)
    print(f"wrote {arguments.output}")


def _print_counts(classes, classifier):
    classes = np.ma.asarray(classes)
    for number, name in classifier.card.classes.items():
        print(f"{np.ma.filled(classes == number, False).sum():7d}  {number} {name}")
    print(f"{np.ma.getmaskarray(classes).sum():7d}  not classified (see flags)")


def _print_notice(classifier):
    if classifier.card.notice:
        print(f"note: {classifier.card.notice}")


# ---------------------------------------------------------------------------------------------


def _add_detect(commands):
    command = _add_command(commands, "detect", _detect, "find star-cluster candidates in images")
    _add_images(command)
    _add_selection(command)
    command.add_argument(
        "--keep-rejected", action="store_true", help="write all sources, and why they are rejected"
    )


def _add_selection(command):
    command.add_argument(
        "--preset",
        default="legus",
        help="settings of a survey: legus, ngc1559 or phangs (default: legus)",
    )
    command.add_argument(
        "--field",
        help="field of LEGUS, whose distance, extinction and concentration index to cut at are "
        "taken unless they are given",
    )
    command.add_argument(
        "--distance", type=float, help="in Mpc; without it there is no cut in absolute magnitude"
    )
    command.add_argument("--detect-in", help="white, or filter or band to find sources in")
    command.add_argument("--threshold", type=float, help="in standard deviations of the sky")
    command.add_argument("--n-pixels", type=int, help="smallest connected area")
    command.add_argument("--min-ci", type=float, help="smallest concentration index")
    command.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)"
    )


def _selection(arguments):
    """Arguments of `find_candidates` that a command was given."""
    from astroclust.selection.presets import get_preset

    preset, distance, extinction = get_preset(arguments.preset), arguments.distance, None
    min_ci = arguments.min_ci
    if arguments.field is not None:
        field = astroclust.find_field(arguments.field)
        distance = field.distance if distance is None else distance
        extinction = {
            band: value
            for band, value in zip(astroclust.BANDS, field.extinction, strict=True)
            if np.isfinite(value)
        }
        min_ci = field.ci_cut if min_ci is None and np.isfinite(field.ci_cut) else min_ci
        if not np.isfinite(distance):
            raise ValueError(f"the distance of {field.name} is not known: give --distance")
    given = {
        name: getattr(arguments, name)
        for name in ("detect_in", "threshold", "n_pixels")
        if getattr(arguments, name) is not None
    }
    if min_ci is not None:
        given["cuts"] = replace(preset.cuts, min_ci=min_ci)
    return {
        "preset": replace(preset, **given),
        "distance": distance,
        "extinction": extinction,
        "workers": arguments.workers,
    }


def _detect(arguments):
    from astroclust.selection import keep_candidates

    check_table_output(arguments.output, overwrite=arguments.overwrite)
    sources = astroclust.find_candidates(
        _read_images(arguments),
        **_selection(arguments),
        keep_rejected=True,
        progress_bar=not arguments.quiet,
    )
    print("\n".join(astroclust.cut_flow(sources).pformat()))
    candidates = sources if arguments.keep_rejected else keep_candidates(sources)
    write_table(candidates, arguments.output, overwrite=arguments.overwrite)
    print(f"{np.sum(sources['cuts'] == 0)} candidates of {len(sources)} sources")
    print(f"wrote {arguments.output}")


# ---------------------------------------------------------------------------------------------


def _add_completeness(commands):
    command = _add_command(
        commands,
        "completeness",
        _completeness,
        "inject artificial clusters into images, and count which are found and selected",
    )
    _add_images(command)
    _add_selection(command)
    command.add_argument(
        "--magnitudes", type=_numbers, required=True, help="in V: 20,22,24 or 20:26:0.5"
    )
    command.add_argument(
        "--radii", type=_numbers, required=True, help="half-light radii: 0.5,1,2 or 1:4:1"
    )
    command.add_argument(
        "--radii-unit", default="pix", help="pix, pc (with a distance) or arcsec (default: pix)"
    )
    command.add_argument(
        "-n", type=int, default=50, help="clusters of each magnitude and radius (default: 50)"
    )
    command.add_argument(
        "--psf",
        action="append",
        default=[],
        type=_pair,
        metavar="FILTER=FILE",
        help="image of a star; once for each band (default: that of WFC3/UVIS)",
    )
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument("--plot", type=Path, help="picture to write")
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="file of all clusters, from which the same command goes on (default: beside the "
        "output)",
    )


def _numbers(text):
    """Numbers with commas between them, or first:last:step, the last included."""
    try:
        if ":" not in text:
            return [float(word) for word in text.split(",")]
        first, last, step = map(float, text.split(":"))
        if step > 0:
            return np.arange(first, last + step / 2, step).tolist()
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected 20,22,24 or FIRST:LAST:STEP, not {text!r}")


def _completeness(arguments):
    from astropy import units as u

    from astroclust.plotting import plot_completeness

    output = arguments.output
    check_table_output(output, overwrite=arguments.overwrite)
    if arguments.plot is not None:
        check_output(arguments.plot, overwrite=arguments.overwrite)
    psf = {name: np.asarray(read_image(path).data) for name, path in arguments.psf}
    result = astroclust.completeness(
        _read_images(arguments),
        **_selection(arguments),
        magnitudes=arguments.magnitudes,
        radii=arguments.radii * u.Unit(arguments.radii_unit),
        n=arguments.n,
        psf=psf or None,
        seed=arguments.seed,
        checkpoint=arguments.checkpoint or output.with_name(f"{output.stem}.clusters.ecsv"),
        progress_bar=not arguments.quiet,
    )
    write_table(result, output, overwrite=arguments.overwrite)
    limits = astroclust.limiting_magnitude(result)
    print("V magnitude at which half of the clusters are selected:")
    print("\n".join(limits.pformat()))
    print(f"wrote {output}")
    if arguments.plot is not None:
        figure = plot_completeness(result).figure
        with replace_when_done(arguments.plot, overwrite=True) as partial:
            figure.savefig(partial, dpi=110)
        print(f"wrote {arguments.plot}")


# ---------------------------------------------------------------------------------------------


def _add_demo(commands):
    command = _add_command(
        commands, "demo", _demo, "find and classify the candidates of a simulated field"
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("astroclust-demo"),
        help="folder for tables and pictures, those of an earlier demo in it are replaced "
        "(default: astroclust-demo)",
    )
    command.add_argument("--seed", type=int, default=2020, help="of the field (default: 2020)")


_DEMO_FILES = (
    "candidates.reg",
    "classified.ecsv",
    "classified.fits",
    "field.fits",
    "field.png",
    "gallery.png",
)


def _demo(arguments):
    from astroclust.evaluation import match_labels
    from astroclust.plotting import plot_field, plot_gallery

    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    for name in _DEMO_FILES:
        check_output(folder / name, overwrite=True)
    field = astroclust.simulate_field(seed=arguments.seed, distance=6)
    print(f"simulated {field.images!r} with {len(field.truth)} objects of known class")
    candidates = astroclust.find_candidates(field.images, distance=6)
    result = astroclust.classify_table(candidates, field.images, progress_bar=not arguments.quiet)
    result["class_true"] = match_labels(result, field.truth)
    scores = astroclust.class_scores(result["class_true"], result["class"])
    scores.rename_column("total", "true")
    given = np.ma.asarray(result["class"])
    scores.add_column(
        [np.ma.filled(given == number, False).sum() for number in CLASSES], name="found", index=2
    )
    for column in ("recall", "precision", "f1"):
        scores[column].format = ".2f"
    print(f"{len(result)} candidates found and classified:")
    print("\n".join(scores.pformat()))
    print(f"accuracy against the known truth: {scores.meta['ACCURACY']:.3f}")
    _print_notice(astroclust.load_classifier())
    field.images.write(folder / "field.fits", overwrite=True)
    for name in ("classified.fits", "classified.ecsv"):
        write_table(result, folder / name, overwrite=True)
    with replace_when_done(folder / "candidates.reg", overwrite=True) as partial:
        astroclust.to_regions(result).write(partial, format="ds9")
    picture = plot_field(field.images, result).figure
    gallery = plot_gallery(result, field.images)
    for name, figure in (("field.png", picture), ("gallery.png", gallery)):
        with replace_when_done(folder / name, overwrite=True) as partial:
            figure.savefig(partial, dpi=110)
    print(f"wrote {', '.join(_DEMO_FILES)} in {folder}")


# ---------------------------------------------------------------------------------------------


def _add_fetch(commands):
    command = _add_command(
        commands, "fetch", _fetch, "fetch catalogues and images of LEGUS and PHANGS-HST from MAST"
    )
    command.add_argument(
        "name",
        nargs="?",
        help="field of LEGUS, or phangs-human or phangs-machine for the catalogues of PHANGS-HST",
    )
    command.add_argument("--list", action="store_true", help="list the fields of LEGUS")
    command.add_argument(
        "--what",
        type=lambda text: [word.strip() for word in text.split(",")],
        default=["catalog", "images"],
        metavar="WHAT",
        help="catalog, images or, by default, catalog,images",
    )
    command.add_argument("--folder", type=Path, help="where files go (default: astropy's cache)")
    command.add_argument("--server", help="in place of those of MAST, such as a mirror")
    command.add_argument("--offline", action="store_true", help="use what is there, ask no server")


def _fetch(arguments):
    from astroclust.archive import conf

    if arguments.list:
        astroclust.list_fields().pprint(max_lines=-1, max_width=-1)
        return
    if arguments.name is None:
        raise ValueError("name a field, such as ngc1566; --list lists them")
    server = (arguments.server or "").rstrip("/")
    with (
        conf.set_temp("archive_server", server or conf.archive_server),
        conf.set_temp("mast_server", server or conf.mast_server),
    ):
        _fetch_and_say(arguments)


def _fetch_and_say(arguments):
    options = {
        "folder": arguments.folder,
        "offline": arguments.offline,
        "progress_bar": not arguments.quiet,
    }
    survey, _, labels = arguments.name.partition("-")
    if survey == "phangs":
        catalog = astroclust.fetch_phangs(labels=labels, **options)
        print(f"{len(catalog)} clusters of PHANGS-HST with {labels} labels")
        return
    data = astroclust.fetch_legus(arguments.name, what=arguments.what, **options)
    if data.catalog is not None:
        print(f"{len(data.catalog)} candidates in {data.folder / data.catalog.meta['CATALOG']}")
    if data.images is not None:
        print(f"{data.images!r} in {data.folder}")


# ---------------------------------------------------------------------------------------------


def _add_samples(commands):
    command = _add_command(
        commands, "samples", _samples, "count the classes of LEGUS catalogues beside the paper's"
    )
    command.add_argument("folder", type=Path, help="folder of hlsp_legus_..._multiband_....tab")


def _samples(arguments):
    # One of each name, whether packed or not; those that are on their way end in .part.
    found = sorted(arguments.folder.rglob("hlsp_legus_hst_*_multiband_*.tab*"), reverse=True)
    paths = {path.name.removesuffix(".gz"): path for path in found}
    catalogs, failures = [], []
    for name, path in sorted(paths.items()):
        if name.endswith(".tab"):
            try:
                catalogs.append(read_table(path))
            except (OSError, ValueError) as error:
                failures.append(str(error))
    if not catalogs and not failures:
        raise FileNotFoundError(
            f"{arguments.folder} has no catalogues of LEGUS: fetch some with astroclust fetch FIELD"
        )
    if catalogs:
        counts = astroclust.sample_counts(catalogs)
        print("classes 1 to 4 here, in Tables 1 and 2 of Wei et al. (2020), and the difference:")
        counts.pprint(max_lines=-1, max_width=-1)
    if failures:
        raise OSError(f"{len(failures)} not counted: " + "; ".join(failures))


# ---------------------------------------------------------------------------------------------


def _add_train(commands):
    command = _add_command(commands, "train", _train, "train a classifier on simulated stamps")
    command.add_argument(
        "--simulate", type=int, required=True, metavar="N", help="number of stamps to simulate"
    )
    command.add_argument("--members", type=int, default=1, help="of the ensemble (default: 1)")
    command.add_argument("--epochs", type=int, default=14, help="(default: 14)")
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument("--name", default="simulated", help="name in the model card")
    command.add_argument(
        "-o", "--output", type=Path, required=True, help=".safetensors file; the card goes beside"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the output")
    command.add_argument(
        "--checkpoints",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command goes on "
        "(default: beside the output)",
    )


def _train(arguments):
    from astroclust.training import train_classifier
    from astroclust.weights import save_classifier

    check_output(arguments.output, overwrite=arguments.overwrite)
    n, seed, epochs = arguments.simulate, arguments.seed, arguments.epochs
    progress_bar = not arguments.quiet
    stamps, held_out = (
        astroclust.simulate_stamps(
            count, seed=[seed, part], workers=os.cpu_count(), progress_bar=progress_bar
        )
        for part, count in enumerate((n, max(n // 8, 8)))
    )
    classifier = train_classifier(
        stamps,
        stamps.table["class"],
        held_out=held_out,
        held_out_labels=held_out.table["class"],
        name=arguments.name,
        training_sample=f"{n} stamps of simulate_stamps, seed [{seed}, 0]",
        simulated=True,
        split=f"{len(held_out)} stamps of simulate_stamps, seed [{seed}, 1]",
        command=f"astroclust train --simulate {n} --members {arguments.members} --epochs {epochs} "
        f"--seed {seed} --name {arguments.name}",
        members=arguments.members,
        epochs=epochs,
        seed=seed,
        folder=arguments.checkpoints or arguments.output.with_suffix(".checkpoints"),
        progress_bar=progress_bar,
    )
    card = save_classifier(classifier, arguments.output, overwrite=arguments.overwrite)
    for name, score in card.scores.items():
        print(f"{name}: {score:.3f}")
    _print_notice(classifier)
    print(f"wrote {arguments.output} and its card")
