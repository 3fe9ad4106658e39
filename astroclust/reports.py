# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Reports: one HTML page with tables and figures, and the tables as ECSV."""

import base64
import html
import io
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from astropy.table import Table

import astroclust
from astroclust.files import replace_when_done

__all__ = ["Report", "describe_machine"]

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 1rem 0; display: block;
        overflow-x: auto; }
th, td { padding: 0.2rem 0.7rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #888; } .text { text-align: left; white-space: normal; }
td.text { overflow-wrap: anywhere; min-width: 6rem; } img { max-width: 100%; }
.note { background: #fff4d6; border-left: 4px solid #e69f00; padding: 0.5rem 1rem; }
"""


@dataclass
class _Section:
    heading: str
    text: str
    name: str | None
    table: Table | None
    form: str
    figure: object | None


class Report:
    """Report of an experiment, as a sequence of sections.

    Parameters
    ----------
    title : str
        Title of the page.
    note : str, optional
        Caveat shown at the top, such as that images are simulated.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import Report
    >>> report = Report("My study", note="All images are simulated.")
    >>> table = Table({"class": [1, 4], "percent": [81.25, 90.0]})
    >>> text = "Percentage of each class that is classified correctly."
    >>> report.add("Scores", text, name="scores", table=table)
    >>> page = report.write("study")
    >>> sorted(path.name for path in page.parent.iterdir())
    ['report.html', 'scores.ecsv']
    """

    def __init__(self, title, *, note=""):
        self.title, self.note = title, note
        self._sections = []

    def add(self, heading, text="", *, name=None, table=None, form=".1f", figure=None):
        """Add a section.

        Parameters
        ----------
        heading, text : str
            Plain text.
        name : str, optional
            Name of the file of the table, without ``.ecsv``.
        table : `~astropy.table.Table`, optional
            Table, shown with all rows.
        form : str, optional
            Format of floating-point numbers; the file has full precision. If None, the formats of
            the columns are used.
        figure : `~matplotlib.figure.Figure`, optional
            Figure, shown below the table.
        """
        self._sections.append(_Section(heading, text, name, table, form, figure))

    def write(self, folder, *, page="report.html"):
        """Write the page as a single HTML file, and each named table as ECSV.

        Parameters
        ----------
        folder : str or `~pathlib.Path`
            Output folder; existing files are replaced.
        page : str, optional
            Name of the page.

        Returns
        -------
        path : `~pathlib.Path`
            The page.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for section in self._sections:
            if section.name is not None:
                with replace_when_done(folder / f"{section.name}.ecsv", overwrite=True) as partial:
                    section.table.write(partial, format="ascii.ecsv")
        page = folder / page
        with replace_when_done(page, overwrite=True) as partial:
            Path(partial).write_text(self._page(), encoding="utf-8")
        return page

    def _page(self):
        note = f'<p class="note">{html.escape(self.note)}</p>' if self.note else ""
        sections = "".join(map(_section_html, self._sections))
        title = html.escape(self.title)
        return (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
            f"<body><h1>{title}</h1>{note}{sections}</body></html>\n"
        )


def _section_html(section):
    parts = [f"<h2>{html.escape(section.heading)}</h2>"]
    if section.text:
        parts.append(f"<p>{html.escape(section.text)}</p>")
    if section.table is not None:
        parts.append(_table_html(section.table, section.form))
    if section.figure is not None:
        stream = io.BytesIO()
        section.figure.savefig(stream, format="png", dpi=120)
        picture = base64.b64encode(stream.getvalue()).decode()
        alternative = html.escape(section.heading, quote=True)
        parts.append(f'<img alt="{alternative}" src="data:image/png;base64,{picture}">')
    return "\n".join(parts)


def _table_html(table, form):
    """HTML table with numbers right-aligned and text, which may be long, left-aligned."""
    shown = table.copy()
    for column in shown.itercols():
        if column.dtype.kind == "f" and form is not None:
            column.format = form
    kinds = [' class="text"' if column.dtype.kind in "US" else "" for column in shown.itercols()]
    cells = [one.info.iter_str_vals() for one in shown.itercols()]
    rows = [shown.colnames, *zip(*cells, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        cells = (
            f"<{tag}{kind}>{html.escape(str(cell).strip())}</{tag}>"
            for kind, cell in zip(kinds, row, strict=True)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head, *body = lines
    body = "\n".join(body)
    return f"<table><thead>{head}</thead><tbody>\n{body}</tbody></table>"


def describe_machine(seconds):
    """Software and hardware that an experiment ran on.

    Parameters
    ----------
    seconds : float
        Run time.

    Returns
    -------
    table : `~astropy.table.Table`
        Columns ``what`` and ``value``.
    """
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "astroclust": astroclust.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "GPU": gpu,
        "minutes": f"{seconds / 60:.1f}",
    }
    return Table(rows=list(facts.items()), names=("what", "value"))
