# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Encoding and completeness of text files."""

__all__ = ["UnreadableError", "check_last_line", "decode"]

_BYTE_ORDER_MARKS = (
    *((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")),
)


class UnreadableError(ValueError):
    """A file cannot be read; the message names the remedy."""


def decode(content):
    """Decode UTF-8, UTF-16 or UTF-32 with a byte order mark, or Latin-1.

    Parameters
    ----------
    content : bytes
        Content of a file.

    Returns
    -------
    text : str
        Text without a byte order mark and with Unix line ends.

    Raises
    ------
    UnreadableError
        If the content is not text.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        raise UnreadableError("it is not text; save it as CSV in UTF-8, FITS or ECSV")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            raise UnreadableError(f"it is not {encoding}; save it again in UTF-8") from None
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_last_line(text):
    """Raise an `UnreadableError` if the last line of a text may be truncated.

    Parameters
    ----------
    text : str
        Content of a file.
    """
    if text and not text.endswith("\n"):
        raise UnreadableError(
            "its last line has no newline and may be truncated; fetch or write it again or, if it "
            "is complete, add a newline at its end"
        )
