# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Commands for detection and completeness."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import astroclust
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    add_workers,
    pair,
    read_images,
)

__all__ = ["add_completeness", "add_detect", "add_selection", "selection_options"]


def add_detect(commands):
    """Add ``astroclust detect``."""
    command = add_command(
        commands,
        "detect",
        _detect,
        "find star-cluster candidates in images",
        "astroclust detect --image F555W=v.fits --image F814W=i.fits -o candidates.fits",
        "# with the distance, extinction and concentration-index cut of a LEGUS field",
        "astroclust detect --field ngc1566 --image F555W=v.fits --image F814W=i.fits -o c.fits",
        "# all sources with the reason for rejection, without a nucleus drawn in DS9",
        "astroclust detect --image V=v.fits --exclude nucleus.reg --keep-rejected -o sources.ecsv",
        "# with a network that detects sources in all bands at once",
        "astroclust detect --image V=v.fits --image I=i.fits --detector mine.safetensors -o c.fits",
        "# with a segmentation image",
        "astroclust detect --image V=v.fits --segmentation segments.fits -o candidates.fits",
    )
    add_images(command)
    add_output(command)
    add_selection(command)
    command.add_argument(
        "--keep-rejected",
        action="store_true",
        help="write all sources with the reason for rejection (default: candidates only)",
    )
    command.add_argument(
        "--segmentation",
        type=Path,
        metavar="FILE",
        help="output FITS image with the id of the source in each pixel (default: none)",
    )


class _OfPresets:
    """Setting of each preset as text, looked up only when help is printed."""

    def __init__(self, value):
        self.value = value

    def __str__(self):
        from astroclust.selection import PRESETS

        return ", ".join(f"{name} {self.value(preset)}" for name, preset in PRESETS.items())


def _limit(preset):
    limit = preset.cuts.max_absolute_v
    return f"{limit:g}" if np.isfinite(limit) else "none"


def _n_pixels(preset):
    return "not used" if preset.method == "daofind" else preset.n_pixels


def add_selection(command):
    """Add the options of `find_candidates`."""
    command.add_argument(
        "--preset",
        default="legus",
        help="survey settings: legus, ngc1559 or phangs (default: legus)",
    )
    command.add_argument(
        "--field",
        help="LEGUS field that provides the distance, extinction and concentration-index cut "
        "unless given (default: none)",
    )
    for option, kind, text, value in (
        (
            "--distance",
            float,
            "distance in Mpc (default: that of --field; without either, the cut in absolute "
            "magnitude at %(presets)s is not applied)",
            _limit,
        ),
        (
            "--detect-in",
            str,
            "detection image: white, a filter or a band (default: that of the preset: %(presets)s)",
            lambda preset: preset.detect_in,
        ),
        (
            "--method",
            str,
            "sextractor, segmentation, daofind, or rcnn (a network) (default: that of the preset: "
            "%(presets)s)",
            lambda preset: preset.method,
        ),
        (
            "--threshold",
            float,
            "detection threshold in standard deviations of the sky (default: that of the preset: "
            "%(presets)s); for a network, the minimum probability of a source (default: 0.5)",
            lambda preset: f"{preset.threshold:g}",
        ),
        (
            "--n-pixels",
            int,
            "minimum number of connected pixels (default: that of the preset: %(presets)s)",
            _n_pixels,
        ),
        (
            "--min-ci",
            float,
            "minimum concentration index in mag (default: that of --field, otherwise of the "
            "preset: %(presets)s)",
            lambda preset: f"{preset.cuts.min_ci:g}",
        ),
    ):
        command.add_argument(option, type=kind, help=text).presets = _OfPresets(value)
    command.add_argument(
        "--detector",
        type=Path,
        metavar="FILE",
        help="network for --method rcnn, as written by astroclust train-detector; implies that "
        "method (default: the bundled one)",
    )
    command.add_argument(
        "--exclude",
        type=Path,
        help="region file of areas to exclude, such as a nucleus or bright stars (default: none)",
    )
    command.add_argument(
        "--footprint",
        type=Path,
        help="region file that limits the search (default: the whole image)",
    )
    add_workers(command)


def selection_options(arguments):
    """Keyword arguments of `find_candidates` from the options of a command."""
    from astroclust.selection import field_settings, get_preset

    preset, distance = get_preset(arguments.preset), arguments.distance
    if arguments.min_ci is not None:
        preset = replace(preset, cuts=replace(preset.cuts, min_ci=arguments.min_ci))
    if arguments.field is not None:
        preset, distance = field_settings(
            arguments.field, preset=preset, distance=distance, min_ci=arguments.min_ci
        )
    names = ("detect_in", "method", "threshold", "n_pixels")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if arguments.detector is not None or arguments.method == "rcnn":
        preset = _with_detector(preset, given, arguments.detector)
    return {
        "preset": replace(preset, **given),
        "distance": distance,
        "exclude": arguments.exclude,
        "footprint": arguments.footprint,
        "workers": arguments.workers,
    }


def _with_detector(preset, given, detector):
    """Preset for a detector network, which uses all bands."""
    if given.get("method", "rcnn") != "rcnn":
        raise ValueError(
            f"--detector cannot be combined with --method {given['method']}; omit one of them"
        )
    if "detect_in" in given or "n_pixels" in given:
        raise ValueError("--detect-in and --n-pixels do not apply to a network; omit them")
    return preset.with_detector(detector)


def _detect(arguments, report):
    from astroclust.detection import write_segments
    from astroclust.selection import cut_flow, describe_settings, keep_candidates

    output, segmentation = arguments.output, arguments.segmentation
    astroclust.catalogs.check_table_output(output, overwrite=arguments.overwrite)
    if segmentation is not None:
        astroclust.files.check_output(segmentation, overwrite=arguments.overwrite)
        if segmentation.resolve() == output.resolve():
            raise ValueError(
                f"--segmentation {segmentation} is also the output table; choose another file"
            )
    images = read_images(arguments)
    sources = astroclust.find_candidates(
        images,
        **selection_options(arguments),
        keep_rejected=True,
        segmentation=segmentation is not None,
        progress_bar=not arguments.quiet,
    )
    if segmentation is not None:
        sources, segments = sources
    settings = describe_settings(sources)
    report.say("{}", _summary(settings), settings=settings)
    report.say("{cut_flow}", cut_flow=cut_flow(sources))
    candidates = sources if arguments.keep_rejected else keep_candidates(sources)
    astroclust.catalogs.write_table(candidates, output, overwrite=arguments.overwrite)
    report.say(
        "{candidates} candidates out of {sources} sources",
        candidates=np.sum(sources["cuts"] == 0),
        sources=len(sources),
    )
    report.say("wrote {output}", output=output)
    if segmentation is not None:
        segments.keep_labels(np.intersect1d(segments.labels, candidates["id"]))
        write_segments(segments, segmentation, wcs=images.wcs, overwrite=arguments.overwrite)
        report.say("wrote {segmentation}", segmentation=segmentation)


def _summary(settings):
    """Summary of the settings."""
    known = dict(zip(settings["setting"], settings["value"], strict=True))
    unit = "" if known["DETMETH"] == "rcnn" else " sigma"
    area = f", {known['NPIXELS']} connected pixels" if "NPIXELS" in known else ""
    distance = f"{known['DISTANCE']} Mpc ({known['DISTFROM']})" if "DISTANCE" in known else "none"
    lines = [
        f"preset: {known['PRESET']}",
        f"detection: {known['DETIMAGE']}, {known['DETMETH']}, threshold {known['THRESH']}{unit}"
        f"{area}",
        f"apertures: {known['APERTURE']} pixels, sky from {known['SKYINNER']} to "
        f"{known['SKYOUTER']} ({known['SKYSTAT']}), centered in {known['RECENTER']}, correction: "
        f"{known['APCORR']}",
        f"distance: {distance}",
        f"cuts: concentration index {known['MINCI']} mag; errors up to {known['MAXERR']} mag in "
        f"{known['MINFILT']} bands (required: {known['REQUIRED']}); absolute V magnitude "
        f"{known['MAXABSV']}",
    ]
    lines += [f"{key.lower()}: {known[key]}" for key in ("EXCLUDE", "FOOTPRNT") if key in known]
    numbers = [key.removeprefix("FILTER") for key in known if key.startswith("FILTER")]
    lines += [
        f"{known[f'FILTER{n}']} ({known[f'ROLE{n}']}): Vega zero point {known[f'ZPVEGA{n}']}, "
        f"Galactic extinction {known[f'GALEXT{n}']} mag, {known[f'IMFILE{n}']}"
        for n in numbers
    ]
    return "\n".join(lines)


def add_completeness(commands):
    """Add ``astroclust completeness``."""
    command = add_command(
        commands,
        "completeness",
        _completeness,
        "measure completeness with artificial clusters injected into images",
        "astroclust completeness --image F555W=v.fits --image F814W=i.fits \\",
        "    --magnitudes 20:26:0.5 --radii 1,2,4 -o completeness.fits",
        "# radii in parsecs, and a figure",
        "astroclust completeness --image F555W=v.fits --image F814W=i.fits --distance 10 \\",
        "    --magnitudes 20:26:1 --radii 2,5 --radii-unit pc --plot c.png -o c.fits",
        "# completeness of a catalog of classes 1 and 2",
        "astroclust completeness --image F555W=v.fits --image F814W=i.fits --model default \\",
        "    --magnitudes 20:26:0.5 --radii 1,2,4 -o completeness.fits",
    )
    add_images(command)
    add_output(command)
    add_selection(command)
    command.add_argument(
        "--magnitudes", type=_numbers, required=True, help="V magnitudes: 20,22,24 or 20:26:0.5"
    )
    command.add_argument(
        "--radii", type=_numbers, required=True, help="half-light radii: 0.5,1,2 or 1:4:1"
    )
    command.add_argument(
        "--radii-unit", default="pix", help="pix, pc (with a distance) or arcsec (default: pix)"
    )
    command.add_argument(
        "-n",
        "--number",
        type=int,
        default=50,
        help="clusters per magnitude and radius (default: 50)",
    )
    command.add_argument(
        "--psf",
        action="append",
        default=[],
        type=pair,
        metavar="FILTER=FILE",
        help="PSF image; once for each band (default: that of WFC3/UVIS)",
    )
    command.add_argument(
        "--model",
        metavar="NAME",
        help="classify the selected clusters with default, or the name or .safetensors file of a "
        "classifier",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="random seed of the clusters (default: 1)"
    )
    command.add_argument("--plot", type=Path, help="output figure (default: none)")
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="file with all clusters, from which the same command resumes (default: next to the "
        "output)",
    )


def _numbers(text):
    """Parse comma-separated numbers, or first:last:step with the last included."""
    try:
        if ":" not in text:
            return [float(word) for word in text.split(",")]
        first, last, step = map(float, text.split(":"))
        if step > 0:
            return np.arange(first, last + step / 2, step).tolist()
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected 20,22,24 or FIRST:LAST:STEP, not {text!r}")


def _completeness(arguments, report):
    from astropy import units as u

    from astroclust.injection import ArtificialClusters
    from astroclust.selection import blocked_pixels

    output = arguments.output
    astroclust.catalogs.check_table_output(output, overwrite=arguments.overwrite)
    if arguments.plot is not None:
        from astroclust.plotting import plot_completeness

        astroclust.files.check_output(arguments.plot, overwrite=arguments.overwrite)
    psf = {
        name: np.asarray(astroclust.images.read_image(path).data) for name, path in arguments.psf
    }
    clusters = ArtificialClusters(
        arguments.magnitudes,
        arguments.radii * u.Unit(arguments.radii_unit),
        n=arguments.number,
        psf=psf or None,
        seed=arguments.seed,
    )
    images, options = read_images(arguments), selection_options(arguments)
    regions = options.pop("exclude"), options.pop("footprint")
    result = astroclust.completeness(
        images,
        clusters,
        **options,
        exclude=blocked_pixels(images, *regions),
        model=arguments.model,
        checkpoint=arguments.checkpoint or output.with_name(f"{output.stem}.clusters.ecsv"),
        progress_bar=not arguments.quiet,
    )
    astroclust.catalogs.write_table(result, output, overwrite=arguments.overwrite)
    _say_limits(report, result, arguments)
    report.say("wrote {output}", output=output)
    if arguments.plot is not None:
        figure = plot_completeness(result).figure
        with astroclust.files.replace_when_done(arguments.plot, overwrite=True) as partial:
            figure.savefig(partial, dpi=110)
        report.say("wrote {plot}", plot=arguments.plot)


def _say_limits(report, result, arguments):
    """Print the magnitudes of 50 percent completeness, before and after classification."""
    from astroclust.injection import limiting_magnitude
    from astroclust.injection.fractions import fraction_columns

    said = (
        "V magnitude at which half of the clusters are selected (linear interpolation),\nand its "
        "68 percent interval from the numbers of clusters:"
    )
    limits = limiting_magnitude(result)
    report.say(f"{said}\n{{limits}}", limits=limits, radii_unit=arguments.radii_unit)
    if arguments.model is None:
        return
    column = next(name for name in fraction_columns(result) if name.startswith("classified"))
    classes = " or ".join(column.split("_")[1:])
    said = f"the same, for clusters that {{model}} also assigns to class {classes}:"
    limits = limiting_magnitude(result, column=column)
    report.say(
        f"{said}\n{{classified_limits}}", classified_limits=limits, model=result.meta["ACMOD"]
    )
