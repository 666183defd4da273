"""Replacing invalid characters before parsing: each becomes U+FFFD, and the job stays readable.

They come from ffmpeg's messages, from file names, from relays that convert encodings. XML 1.0 (section 2.2) allows no
control characters and JSON (RFC 8259, section 7) none unescaped, so that one such character would make the whole body,
with all its jobs, unreadable. Each step is one pass in C.
"""

import re
from typing import Final

INSTEAD: Final = "\ufffd"

_TO_NUL: Final = bytes(0 if code < 0x20 and code not in b"\t\n\r" else code for code in range(256))

_REFERENCE: Final = re.compile(
    r"""(<!\[CDATA\[.*?(?:\]\]>|\Z))                    # where it is only text
    | &\#x(?:0++|0*+(?:[1-8bcef]|1[0-9a-f]|d[89a-f][0-9a-f]{2}|fff[ef]));
    | &\#(?:0++|0*+(?:[1-8]|1[124-9]|2[0-9]|3[01]|5529[6-9]|55[3-9][0-9]{2}|56[0-9]{3}
                     |57[0-2][0-9]{2}|573[0-3][0-9]|5734[0-3]|6553[45]));""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""A reference to a control character, to half of a surrogate pair, or to U+FFFE and U+FFFF."""

_LOW: Final = r"[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE: Final = rf"[dD](?:[c-fC-F]|[89abAB](?![0-9a-fA-F]{{2}}\\u{_LOW}))[0-9a-fA-F]{{2}}"
_PAIR: Final = rf"(\\u[dD][89abAB][0-9a-fA-F]{{2}}\\u{_LOW})"
_CONTROL: Final = r"00(?:0[0-8bcefBCEF]|1[0-9a-fA-F])|[fF]{3}[efEF]"
_LONE_ESCAPE: Final = re.compile(rf"{_PAIR}|\\u{_LONE}")
_BAD_ESCAPE: Final = re.compile(rf"{_PAIR}|\\u(?:{_CONTROL}|{_LONE})")


def sanitized(body: bytes, encoding: str = "utf-8") -> str:
    """The text of a body in which every bad character, and every byte that is no character, is U+FFFD."""
    text = body.translate(_TO_NUL).decode(encoding, "replace")
    for bad in ("\0", "\ufffe", "\uffff"):
        if bad in text:
            text = text.replace(bad, INSTEAD)
    return text


def sanitized_references(text: str) -> str:
    """XML in which references to such characters, ``&#27;``, are U+FFFD too."""
    return _REFERENCE.sub(_kept, text) if "&#" in text else text


def sanitized_escapes(text: str) -> str:
    r"""JSON in which escapes of such characters, ``\u001b``, are U+FFFD too. The text is ``sanitized`` already."""
    if not any(mark in text for mark in (r"\b", r"\f", r"\u00", r"\ud", r"\uD", r"\uf", r"\uF")):
        return text
    # An escaped backslash would look like the beginning of the next escape; NUL is free to stand for it.
    text = text.replace("\\\\", "\0").replace(r"\b", INSTEAD).replace(r"\f", INSTEAD)
    return _BAD_ESCAPE.sub(_kept, text).replace("\0", "\\\\")


def without_lone_surrogates(text: str) -> str:
    """JSON in which escapes of half a surrogate pair, which UTF-8 cannot carry, are U+FFFD."""
    if (r"\ud" not in text and r"\uD" not in text) or "\0" in text:
        return text
    return _LONE_ESCAPE.sub(_kept, text.replace("\\\\", "\0")).replace("\0", "\\\\")


def _kept(found: re.Match[str]) -> str:
    return found[1] or INSTEAD
