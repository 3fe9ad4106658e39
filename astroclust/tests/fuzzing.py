# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Damaged files: how they are made, read and judged, for the tests and for ``benchmarks/fuzz.py``.

What counts as a silent change of values depends on what a file can tell about itself:

- files with checksums of all they hold (``.gz``, ``.bz2``, FITS files with CHECKSUM, models): any
  value that differs without an error or a warning that names the file; except that the checksum of
  FITS is a sum, which words that change places do not change;
- other FITS images: any value that differs after a damage of the structure, which changes the
  length of the file (truncation, bytes or blocks inserted or lost); after a change within the
  pixels or the header, any value other than that which the damaged file states, as a decoder of
  twenty lines reads it;
- FITS tables and compressed images without checksums: any value that differs after a damage of the
  structure;
- text: any value that differs in a row that remains after the end of the file was cut off.

Nothing in the remaining files tells a changed digit or bit from the original: such cases are
counted as undetectable.
"""

import json
import re
import signal
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["BAD", "OUTCOMES", "HangError", "Kind", "decode_images", "fuzz", "watchdog"]

_HARMLESS = ("equal", "as stated", "fewer rows", "warning", "our error", "undetectable")
#: What must not happen.
BAD = ("foreign exception", "unnamed error", "hang", "silent change")
OUTCOMES = _HARMLESS + BAD
# What our readers may raise.
_OURS = (OSError, ValueError, KeyError)
_WORD = re.compile(r"\S+")
_HOSTILE = _WORD.findall("""
    0 -1 1 2 7 999 1000000000 1000000000000 18446744073709551617 -2147483648 1E400 NaN INF 1.5 T '
    '' 'ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ
""")
_KEYS = _WORD.findall("""
    SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 PCOUNT GCOUNT EXTEND GROUPS TFIELDS TFORM1
    TFORM2 TTYPE1 TDIM1 TNULL1 TSCAL1 TZERO1 THEAP BSCALE BZERO BLANK ZIMAGE ZBITPIX ZNAXIS ZNAXIS1
    ZNAXIS2 ZTILE1 ZTILE2 ZCMPTYPE ZNAME1 ZVAL1 ZQUANTIZ ZDITHER0 ZBLANK ZSCALE ZZERO EXTNAME
    EXTVER CTYPE1 CRVAL1 CRPIX1 CD1_1 CDELT2 WCSAXES A_ORDER LONPOLE RADESYS BUNIT EXPTIME PHOTFLAM
    FILTER ROLE END
""")


class HangError(BaseException):
    """A file took too long; no reader turns this into an error of its own."""


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Parameters
    ----------
    name : str
        What the table of outcomes calls it.
    suffix : str
        Ending of its name.
    contents : list of bytes
        Good files.
    read : callable
        From a path to a dict of arrays.
    form : str
        ``"fits"``, ``"text"``, ``"json"`` or ``"binary"``: how it can be damaged.
    has_checksum : bool
        Whether the file holds a checksum of all that is in it.
    decode : callable, optional
        From bytes to the dict that the file states.
    pack : callable, optional
        Applied to the damaged bytes.
    companion : tuple of str and bytes, optional
        Ending and content of a file beside it.
    good : dict
        Values of those contents that were read.
    """

    name: str
    suffix: str
    contents: list
    read: object
    form: str = "binary"
    has_checksum: bool = False
    decode: object = None
    pack: object = bytes
    companion: tuple = None
    good: dict = field(default_factory=dict, repr=False)


def fuzz(kind, number, folder, *, seed=0, seconds=10):
    """Damage one file, read it and judge the outcome.

    Parameters
    ----------
    kind : `Kind`
        The kind of file.
    number : int
        Number of the case; equal numbers and seeds give equal files.
    folder : `~pathlib.Path`
        For the file.
    seed : int, optional
        Of all cases.
    seconds : float, optional
        After which reading counts as a hang.

    Returns
    -------
    outcome : str
        One of `OUTCOMES`.
    note : str
        The damage, and the error, if any.
    """
    rng = np.random.default_rng([seed, number, *kind.name.encode()])
    content = kind.contents[number % len(kind.contents)]
    damage = rng.choice(_DAMAGES[kind.form])
    damaged = damage(content, rng)
    path = Path(folder) / f"case{number}{kind.suffix}"
    if kind.companion:
        path.with_suffix(kind.companion[0]).write_bytes(kind.companion[1])
    good = kind.good.get(content)
    if good is None:
        path.write_bytes(kind.pack(content))
        with warnings.catch_warnings(action="error"):
            good = kind.good[content] = kind.read(path)
    path.write_bytes(kind.pack(damaged))
    try:
        with watchdog(seconds), warnings.catch_warnings(record=True, action="always") as caught:
            values = kind.read(path)
    except HangError:
        return "hang", damage.__name__
    except Exception as error:
        note = f"{damage.__name__}: {type(error).__name__}: {str(error)[:300]}"
        if not isinstance(error, _OURS) or not _raised_here(error):
            return "foreign exception", note
        return ("our error" if path.stem in str(error) else "unnamed error"), note
    finally:
        path.unlink()
    warned = any(path.stem in str(warning.message) for warning in caught)
    return _judge(kind, damage, damaged, values, good, warned), damage.__name__


def _raised_here(error):
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals["__name__"].startswith("astroclust.")


def _judge(kind, damage, damaged, values, good, warned):
    if _equal(values, good):
        return "equal"
    if warned:
        return "warning"
    if kind.form in ("text", "json"):
        if damage not in _TRUNCATIONS:
            return "undetectable"
        first = {name: good[name][: len(column)] for name, column in values.items() if name in good}
        return "fewer rows" if _equal(values, first) else "silent change"
    if damage in _STRUCTURAL or (kind.has_checksum and damage not in _SWAPS):
        return "silent change"
    if kind.decode is None:
        return "undetectable"
    return "as stated" if _close(values, kind.decode(damaged)) else "silent change"


def _equal(values, others):
    return values.keys() == others.keys() and all(
        np.shape(values[name]) == np.shape(others[name])
        and np.array_equal(values[name], others[name], equal_nan=_is_float(values[name]))
        for name in values
    )


def _close(values, others):
    """As `_equal`, but for the rounding of scaled pixels."""
    return values.keys() == others.keys() and all(
        np.shape(values[name]) == np.shape(others[name])
        and np.allclose(values[name], others[name], rtol=1e-5, equal_nan=True)
        for name in values
    )


def _is_float(values):
    return np.asarray(values).dtype.kind == "f"


@contextmanager
def watchdog(seconds):
    """Raise `HangError` in a block that takes longer, where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def bark(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def decode_images(content):
    """The images that a plain FITS file states, by EXTNAME: no more than the standard says."""
    images, start = {}, 0
    while start < len(content):
        cards, end = {}, False
        while not end:
            for i in range(start, start + 2880, 80):
                card = content[i : i + 80].decode("latin-1")
                end |= card.rstrip() == "END"
                if card[8:10] == "= ":
                    text = card[10:].strip()
                    value = text[1 : text.find("'", 1)] if text[0:1] == "'" else text
                    cards.setdefault(card[:8].strip(), value.partition("/")[0].strip())
            start += 2880
        shape = [int(cards[f"NAXIS{i}"]) for i in range(int(cards["NAXIS"]), 0, -1)]
        bits = int(cards["BITPIX"])
        dtype = np.dtype(f">{'f' if bits < 0 else 'i' if bits > 8 else 'u'}{abs(bits) // 8}")
        size = int(np.prod(shape or [0]))
        data = np.frombuffer(content, dtype, size, start).astype(float)
        if "BLANK" in cards and bits > 0:
            data[data == int(cards["BLANK"])] = np.nan
        scaled = data * float(cards.get("BSCALE", 1)) + float(cards.get("BZERO", 0))
        if size:
            images.setdefault(cards.get("EXTNAME", "").upper(), scaled.reshape(shape))
        start += -(-size * dtype.itemsize // 2880) * 2880
    return images


def _some(content, rng, longest=64):
    """A random slice, as start and end."""
    start = int(rng.integers(len(content)))
    return start, min(start + int(rng.integers(1, longest)), len(content))


def _truncate(content, rng):
    return content[: rng.integers(len(content))]


def _cut_end(content, rng):
    return content[: len(content) - int(rng.integers(1, min(3000, len(content))))]


def _insert(content, rng):
    start, end = _some(content, rng)
    return content[:start] + rng.bytes(end - start) + content[start:]


def _delete(content, rng):
    start, end = _some(content, rng)
    return content[:start] + content[end:]


def _repeat(content, rng):
    start, end = _some(content, rng, 2 * 2880)
    return content[:end] + content[start:]


def _drop_block(content, rng):
    start = int(rng.integers(len(content))) // 2880 * 2880
    return content[:start] + content[start + 2880 :]


def _append(content, rng):
    return content + rng.bytes(int(rng.integers(1, 6000)))


def _flip_bits(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _fill(content, rng):
    start, end = _some(content, rng, 600)
    return content[:start] + rng.choice([b"\0", b"\xff", b" "]) * (end - start) + content[end:]


def _swap_blocks(content, rng):
    size = int(rng.choice([80, 512, 2880]))
    blocks = [content[i : i + size] for i in range(0, len(content), size)]
    i, j = rng.integers(len(blocks), size=2)
    blocks[i], blocks[j] = blocks[j], blocks[i]
    return b"".join(blocks)


def _cards(content):
    """Where cards are: offsets of those that look like one."""
    form = re.compile(rb"[A-Z][A-Z0-9_-]{0,7} *= ")
    return [i for i in range(0, len(content), 80) if form.match(content[i : i + 80])]


def _set_card(content, rng):
    """Give a keyword another value, in place of its own card or of a harmless one."""
    key, value = str(rng.choice(_KEYS)), str(rng.choice(_HOSTILE))
    there = [i for i in _cards(content) if content[i : i + 8].decode().rstrip() == key]
    i = int(rng.choice(there or _cards(content)))
    card = f"{key:<8}= {value:>20}".ljust(80)[:80].encode()
    return content[:i] + card + content[i + 80 :]


def _garble_card(content, rng):
    i = int(rng.choice(_cards(content)))
    start = i + int(rng.integers(80))
    text = rng.integers(32, 127, size=rng.integers(1, i + 81 - start), dtype=np.uint8).tobytes()
    return content[:start] + text + content[start + len(text) :]


def _blank_card(content, rng):
    i = int(rng.choice(_cards(content)))
    return content[:i] + b" " * 80 + content[i + 80 :]


def _copy_card(content, rng):
    i, j = rng.choice(_cards(content), 2)
    return content[:j] + content[i : i + 80] + content[j + 80 :]


def _swap_cards(content, rng):
    i, j = sorted(map(int, rng.choice(_cards(content), 2)))
    if i == j:
        return content
    one, other = content[i : i + 80], content[j : j + 80]
    return content[:i] + other + content[i + 80 : j] + one + content[j + 80 :]


def _swap_axes(content, rng):
    swap = {b"NAXIS1  ": b"NAXIS2  ", b"NAXIS2  ": b"NAXIS1  "}
    return re.sub(b"NAXIS[12]  ", lambda match: swap[match.group()], content)


def _change_number(content, rng):
    numbers = list(re.finditer(rb"[-+]?\d+\.?\d*", content))
    match = numbers[rng.integers(len(numbers))] if numbers else re.match(b"", content)
    value = str(rng.choice([*_HOSTILE, "", "1,5", "12:34:56", "9" * 400])).encode()
    return content[: match.start()] + value + content[match.end() :]


def _change_line(content, rng):
    lines = content.splitlines(keepends=True)
    i, j = rng.integers(len(lines), size=2)
    what = rng.integers(4)
    if what == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif what == 1:
        del lines[i]
    elif what == 2:
        lines.insert(i, lines[j])
    else:
        lines[i] = rng.choice([b"", b"\0\n", b"{" * 300 + b"\n", b"[" * 5000 + b"\n", b"\xff\xfe"])
    return b"".join(lines)


def _change_entry(content, rng):
    entries = json.loads(content)
    name = str(rng.choice(sorted(entries)))
    values = [None, -1, 0, 1e999, 10**30, "", "a", [], {}, True, [1, [2]], {"1": {}}, "x" * 10_000]
    if rng.random() < 0.2:
        entries[str(rng.choice(["", "new", "sha256 "]))] = entries.pop(name)
    else:
        entries[name] = values[rng.integers(len(values))]
    return json.dumps(entries).encode()


_TRUNCATIONS = (_truncate, _cut_end)
_SWAPS = (_swap_blocks, _swap_cards, _swap_axes)
_STRUCTURAL = (*_TRUNCATIONS, _insert, _delete, _repeat, _drop_block, _append)
_ANY = (*_STRUCTURAL, _flip_bits, _fill, _swap_blocks)
_OF_CARDS = (_set_card, _set_card, _garble_card, _blank_card, _copy_card, _swap_cards, _swap_axes)
_DAMAGES = {
    "binary": _ANY,
    "fits": (*_ANY, *_OF_CARDS, *_OF_CARDS),
    "text": (_truncate, *_ANY, *(_change_number, _change_line) * 3),
    "json": (*_ANY, *(_change_entry, _change_number) * 4),
}
