# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Check the language of docs, docstrings, comments, messages, CHANGES and README.

``python docs/check_language.py [FILE ...]`` prints the phrases that a native speaker would not use,
each with what to write instead, and fails if there are any; by default for all files of the
repository. A line with ``language: ok`` is exempt, as is text in double backquotes.
"""

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

SUFFIXES = (".py", ".rst", ".md", ".ipynb", ".ecsv", ".js", ".css", ".html")
# Quotes from papers, data in British spelling, and tests, whose names are sentences.
EXEMPT = re.compile(r"wei2020_claims\.ecsv$|/tests/|check_language\.py$|CODE_OF_CONDUCT|/_build/")

# Regular expression, and what to write instead. Sentences begin a line or follow a full stop.
BANNED = {
    r"(?-i:^(?:Where|What|That which|Those|As `[^`]+` \w+s)\b(?!.*\?))": "a noun or a verb",
    r"(?-i:\. (?:Where|What|That which) (?!.*\?))": "a noun, 'if' or 'when'",
    r"(?<!there )\b(?:is|was|are) no (?!longer\b|more\b|less\b|\w+ than)": "is not a",
    r"\bthere is no (?:file|folder)\b": "... does not exist",
    r"\b(?:exists?|in use|there) already\b": "already exists",
    r"\bchances\b": "probabilities",
    r"\ba (?:row|line|label|stamp|column|picture|task) an? (?!time\b)\w+": "one ... per ...",
    r"\bone a (?:band|core|row)\b": "one per ...",
    r"\bgoes on\b": "resumes, continues",
    r"\bgoes with(?:out)? (?=-|`|wcs)": "requires, cannot be combined with",
    r"\btorn\b|\bwhole (?:file|line|table)": "truncated, complete",
    r"\b(?:un)?learnt\b|\bspelt\b": "learned, training set; spelled",
    r"\blea?ve? (?:it|them|that|\w+|one of them) out\b|\bleft out\b": "omit, exclude",
    r"\btaken off\b|\bless that within\b": "subtracted, minus",
    r"\bas (?:it|`[^`]+`) (?:takes|gives|returns|makes|writes) (?:it|them)\b": "see `...`",
    r"\bshares? of\b|\bis a share\b": "fraction of",
    r"\blook by eye\b|\bgiven by eye\b": "visual inspection",
    r"\bat rest\b": "frozen",
    r"\b(?:has|have|had) (?:not )?seen (?:it|the|a|simul)": "in, outside the training set",
    r"is not known: (?:there|known)": "unknown ...; available are ...",
    r"\bin the way that\b|\bsuch as it is\b|\bbe had\b|\bsays? nothing of\b": "plain words",
    r"\b(?:catalogue|colour|grey|centre|centring|labelled(?!by)|behaviour|favour|neighbour|artefact"
    r"|licence(?! :|$)|modelled|analyse|metre\b|normalis|optimis[ei]|initialis|recognis|organis"
    r"|summaris|minimis|maximis|visualis|standardis|programme\b|per cent)\w*": "American spelling",
}
PATTERNS = [(re.compile(phrase, re.IGNORECASE), instead) for phrase, instead in BANNED.items()]


def texts(path):
    """Lines of prose with their numbers: of programs, those of comments and strings."""
    text = path.read_text(encoding="utf-8")
    lines = enumerate(text.splitlines(), 1)
    if path.suffix == ".py":
        prose = (tokenize.COMMENT, tokenize.STRING)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        lines = (
            (token.start[0] + i, line)
            for token in tokens
            if token.type in prose or "FSTRING" in tokenize.tok_name[token.type]
            for i, line in enumerate(token.string.splitlines())
        )
    elif path.suffix in (".js", ".css"):
        lines = ((i, re.sub(r"^.*?(?=//|/\*|\"|`|$)", "", line)) for i, line in lines)
    elif path.suffix == ".ipynb":
        lines = ((i, line.strip().strip('",')) for i, line in lines if "png" not in line)
    for number, line in lines:
        yield (
            number,
            re.sub(r"``[^`]*``", "", line).lstrip(" #:/*").removeprefix('"""').strip("\"'"),
        )


def main(names):
    """Print banned phrases of files; return their number."""
    listed = names or subprocess.check_output(["git", "ls-files"], text=True).splitlines()
    paths = [Path(name) for name in listed if name.endswith(SUFFIXES) and not EXEMPT.search(name)]
    count = 0
    for path in paths:
        exempt = path.read_text(encoding="utf-8").splitlines()
        for number, line in texts(path):
            if "language: ok" in exempt[number - 1]:
                continue
            for pattern, instead in PATTERNS:
                if found := pattern.search(line):
                    print(f"{path}:{number}: {found.group().strip()!r}: {instead}")
                    count += 1
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
