# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training on LEGUS fields from the archive, with a folder for the Hugging Face hub."""

import astroclust
from astroclust.cli.options import use_server

__all__ = ["fetch_samples", "write_hub"]


def fetch_samples(arguments, report, start, folder):
    """Samples of the fields given with ``--legus``, with their stamps stored in a folder."""
    from astroclust.training import legus_samples, plan_legus

    fields = arguments.legus
    if "all" in fields and len(fields) > 1:
        raise ValueError("--legus all includes all fields; omit the others")
    options = {"classifier": start, "progress_bar": not arguments.quiet}
    with use_server(arguments.server):
        plan = plan_legus(
            "all" if fields == ["all"] else fields,
            folder=folder,
            data_folder=arguments.data,
            drop_mosaics=arguments.drop_mosaics,
            **options,
        )
        _check_held_out(arguments.hold_out or [], plan.galaxies)
        report.say("{}", plan.describe(), fields=plan.fields, disk_use=plan.disk_use)
        plan.check_space()
        return legus_samples(plan, **options)


def _check_held_out(names, galaxies):
    """Check that galaxies can be held out before anything is downloaded."""
    known = {astroclust.catalogs.fields.plain_name(one) for one in galaxies}
    unknown = [one for one in names if astroclust.catalogs.fields.plain_name(one) not in known]
    if unknown:
        raise ValueError(
            f"--hold-out {unknown[0]} is not among the galaxies of the fields; available are "
            f"{', '.join(galaxies)}"
        )
    if names and known <= {astroclust.catalogs.fields.plain_name(one) for one in names}:
        raise ValueError("--hold-out leaves no galaxy to train on; hold out fewer, or add fields")


def write_hub(arguments, report, classifier, samples):
    """Write the folder for the hub, including the report, next to the output."""
    from astroclust.experiments import report_training
    from astroclust.weights import write_hub_folder

    folder = arguments.output.with_suffix(".hub")
    for partial in folder.glob(".*.part-*"):  # left by a killed process
        partial.unlink(missing_ok=True)
    # An existing folder belongs to the same output, which is written last.
    write_hub_folder(classifier, folder, overwrite=True)
    page = report_training(classifier, samples, folder)
    report.say("wrote {hub}, ready for hf upload, and {report}", hub=folder, report=page)
