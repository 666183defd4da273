"""A note inside a file that players skip, so that each output of each job has its own bytes and MD5."""

from __future__ import annotations

import hashlib
import zlib


def marked(suffix: str, body: bytes, note: str) -> bytes:
    """The file with that note; a file of an unknown kind is returned unchanged."""
    mark = _MARKS.get(suffix)
    return mark(body, note.encode()[:200]) if mark else body


def _id3(body: bytes, note: bytes) -> bytes:
    """Prepend an ID3v2.3 tag with one text frame: MP3 and ADTS."""
    frame = b"\0note\0" + note
    frame = b"TXXX" + len(frame).to_bytes(4, "big") + b"\0\0" + frame
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + body


def _flac(body: bytes, note: bytes) -> bytes:
    """Insert an APPLICATION block after the first block, which must be STREAMINFO."""
    end = 8 + int.from_bytes(body[5:8], "big")
    block = b"emul" + note
    return body[:end] + b"\x02" + len(block).to_bytes(3, "big") + block + body[end:]


def _wav(body: bytes, note: bytes) -> bytes:
    """A comment in a LIST chunk at the end."""
    note += b"\0" * (1 + (len(note) + 1) % 2)
    info = b"INFOICMT" + len(note).to_bytes(4, "little") + note
    whole = body + b"LIST" + len(info).to_bytes(4, "little") + info
    return whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:]


def _amr(body: bytes, note: bytes) -> bytes:
    """AMR cannot hold text: append 64 empty frames whose quality bits are a hash of it."""
    bits = int.from_bytes(hashlib.blake2b(note, digest_size=8).digest(), "big")
    return body + bytes(0x7C if bits >> n & 1 else 0x78 for n in range(64))


def _mp4(body: bytes, note: bytes) -> bytes:
    return body + (8 + len(note)).to_bytes(4, "big") + b"free" + note


def _gif(body: bytes, note: bytes) -> bytes:
    return body[:-1] + b"\x21\xfe" + bytes([len(note)]) + note + b"\0" + body[-1:]


def _jpeg(body: bytes, note: bytes) -> bytes:
    return body[:2] + b"\xff\xfe" + (2 + len(note)).to_bytes(2, "big") + note + body[2:]


def _png(body: bytes, note: bytes) -> bytes:
    """Insert a text chunk after the header, which is 8 bytes of signature and a chunk of 25."""
    chunk = b"tEXtComment\0" + note
    return (
        body[:33]
        + (len(chunk) - 4).to_bytes(4, "big")
        + chunk
        + zlib.crc32(chunk).to_bytes(4, "big")
        + body[33:]
    )


_MARKS = {
    **{"mp3": _id3, "aac": _id3, "flac": _flac, "wav": _wav, "amr": _amr},
    **{"mp4": _mp4, "gif": _gif, "jpg": _jpeg, "png": _png},
}
