# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Page with the agreement among reviewers."""

from html import escape

import numpy as np

__all__ = ["agreement_page"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>{title}: agreement</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/static/style.css">
</head>
<body class="agreement">
  <header><h1>{title}</h1><span>Agreement among reviewers</span><span class="spring"></span>
    <a class="button" href="/">Back to the review</a></header>
  <main>
{content}
  </main>
</body>
</html>
"""
_ALONE = """<p>Fewer than two reviewers have labeled objects, so agreement cannot be computed yet. \
{who}</p>"""
_NOTE = """<p class="quiet">Kappa is 1 for perfect agreement and 0 for agreement expected by \
chance; errors are standard errors. It is undefined without common objects, or if all of their \
labels are of one class. Blind counts the objects that both reviewers labeled before seeing the \
class and the labels of others.</p>"""


def agreement_page(agreement, *, title):
    """Make a page with kappa and the confusion matrix of each pair of reviewers.

    Parameters
    ----------
    agreement : `~astroclust.review.Agreement`
        Agreement to show.
    title : str
        Title of the review.

    Returns
    -------
    html : str
        The page in the style of the review.

    Examples
    --------
    >>> from astroclust.review import reviewer_agreement
    >>> from astroclust.review.agreement_page import agreement_page
    >>> page = agreement_page(reviewer_agreement({"anna": [1, 4], "ben": [1, 2]}), title="NGC 628")
    >>> "anna" in page and "Fleiss" in page
    True
    """
    if len(agreement.labeled) < 2:
        content = _ALONE.format(who=escape(_counted(agreement)))
    else:
        content = "\n".join(
            [_summary(agreement), _pairs(agreement.pairs), _NOTE, *_matrices(agreement)]
        )
    return _PAGE.format(title=escape(title), content=content)


def _counted(agreement):
    return ", ".join(f"{name}: {n} labeled" for name, n in agreement.labeled.items())


def _summary(agreement):
    kappa = agreement.fleiss
    title = f"Fleiss' kappa of all reviewers: {kappa}".replace("+/-", "±")
    lines = [_counted(agreement)]
    if np.isfinite(kappa.agreement):
        found = f"{kappa.agreement:.2f}; {kappa.expected:.2f} is expected by chance"
        lines.insert(0, f"Observed agreement {found}.")
    return f'<p class="kappa">{escape(title)}</p>\n' + "".join(f"<p>{escape(x)}</p>" for x in lines)


def _pairs(pairs):
    names = ("Reviewers", "objects", "blind", "agreement", "by chance", "Cohen's kappa")
    lines = [_row("th", names)]
    for pair in pairs:
        cells = (
            f"{pair['reviewer_a']}, {pair['reviewer_b']}",
            pair["n"],
            pair["n_blind"],
            _number(pair["agreement"]),
            _number(pair["expected"]),
            _with_error(pair["kappa"], pair["kappa_error"]),
        )
        lines.append(_row("td", cells))
    return _table(lines, "pairs")


def _matrices(agreement):
    numbers, names = agreement.scheme.numbers, agreement.scheme.names
    for (a, b), matrix in agreement.matrices.items():
        if not matrix["total"].sum():
            continue
        lines = [_row("th", (f"{a} ↓  {b} →", *numbers, "total"))]
        for row in matrix:
            number = int(row["class"])
            counts = [row[f"class_{other}"] for other in numbers]
            # One shade per tenth of the objects in a row.
            shades = [int(10 * n / row["total"]) if row["total"] else 0 for n in counts]
            cells = "".join(
                f'<td class="shade-{shade}">{n}</td>'
                for n, shade in zip(counts, shades, strict=True)
            )
            head = escape(f"{number} {names[number]}")
            lines.append(f"<tr><th scope=row>{head}</th>{cells}<td>{row['total']}</td></tr>")
        yield f"<h2>{escape(a)} and {escape(b)}</h2>\n{_table(lines, 'matrix')}"


def _table(lines, name):
    return f'<table class="{name}">\n' + "\n".join(lines) + "\n</table>"


def _row(kind, cells):
    return "<tr>" + "".join(f"<{kind}>{escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"


def _number(value):
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _with_error(value, error):
    if not np.isfinite(value):
        return "undefined"
    return f"{value:.2f} ± {error:.2f}" if np.isfinite(error) else f"{value:.2f}"
