"""A self-signed certificate, for SDKs that speak only https. It is made once for each data directory."""

from __future__ import annotations

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from Crypto.Util.asn1 import DerObjectId

NAMES = ("localhost", "*.myqcloud.com", "*.tencentcos.cn", "*.tencentci.cn")
REGIONS = (
    "ap-chongqing",
    "ap-beijing",
    "ap-guangzhou",
    "ap-shanghai",
    "ap-nanjing",
    "ap-chengdu",
    "ap-singapore",
)
_LIFE = timedelta(days=3650)
_COMMON_NAME, _ALT_NAMES, _CONSTRAINTS = "2.5.4.3", "2.5.29.17", "2.5.29.19"
_USAGE, _KEY_ID = "2.5.29.15", "2.5.29.14"
_SIGNS_AND_ENCIPHERS = b"\x02\xa4"
"""Bits of the key's usage: digitalSignature, keyEncipherment, keyCertSign; the first byte counts the unused ones."""
_BOOLEAN, _INTEGER, _BITS, _OCTETS, _NULL, _UTF8, _UTC_TIME = 0x01, 0x02, 0x03, 0x04, 0x05, 0x0C, 0x17
_SEQUENCE, _SET, _DNS_NAME, _ADDRESS = 0x30, 0x31, 0x82, 0x87
_SHORT = 0x80


def context(data: Path) -> ssl.SSLContext:
    """The server's TLS context. Clients have to trust `<data>/tls/certificate.pem`."""
    signed = certificate(data)
    key = signed.with_name("key.pem")
    if not signed.exists():
        signed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(signed, key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(signed, key)
    return made


def certificate(data: Path) -> Path:
    return data / "tls" / "certificate.pem"


def _make(signed: Path, key: Path) -> None:
    """Write the certificate last: if it exists, its key is complete."""
    pair = RSA.generate(2048)
    key.touch(mode=0o600)
    key.write_bytes(pair.export_key())
    signed.write_text(ssl.DER_cert_to_PEM_cert(_signed(pair)))


def _signed(pair: RSA.RsaKey) -> bytes:
    """An X.509 certificate, version 3, as RFC 5280 has it in DER."""
    name = _node(_SEQUENCE, _node(_SET, _node(_SEQUENCE, _id(_COMMON_NAME), _node(_UTF8, b"CI emulator"))))
    now, public = datetime.now(UTC), pair.public_key().export_key("DER")
    body = _node(
        _SEQUENCE,
        _node(0xA0, _node(_INTEGER, b"\2")),
        _node(_INTEGER, b"\1" + secrets.token_bytes(15)),
        _ALGORITHM,
        name,
        _node(_SEQUENCE, _time(now - timedelta(days=1)), _time(now + _LIFE)),
        name,
        public,
        _node(0xA3, _extensions(SHA256.new(public).digest()[:20])),
    )
    signature = pkcs1_15.new(pair).sign(SHA256.new(body))
    return _node(_SEQUENCE, body, _ALGORITHM, _node(_BITS, b"\0" + signature))


def _extensions(key_id: bytes) -> bytes:
    """Self-signed, for loopback and for the hosts that SDKs make of a bucket and a region."""
    hosts = [*NAMES, *(f"*.{kind}.{region}.myqcloud.com" for kind in ("ci", "cos") for region in REGIONS)]
    names = [_node(_DNS_NAME, host.encode()) for host in hosts]
    names += [_node(_ADDRESS, bytes([127, 0, 0, 1])), _node(_ADDRESS, bytes(15) + b"\1")]
    return _node(
        _SEQUENCE,
        _extension(_ALT_NAMES, _node(_SEQUENCE, *names)),
        _extension(_CONSTRAINTS, _node(_SEQUENCE, _TRUE), critical=True),
        _extension(_USAGE, _node(_BITS, _SIGNS_AND_ENCIPHERS), critical=True),
        _extension(_KEY_ID, _node(_OCTETS, key_id)),
    )


def _extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    return _node(_SEQUENCE, _id(kind), _TRUE if critical else b"", _node(_OCTETS, value))


def _id(dotted: str) -> bytes:
    return DerObjectId(dotted).encode()


def _time(at: datetime) -> bytes:
    return _node(_UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode())


def _node(tag: int, *parts: bytes) -> bytes:
    """A tag, the length, the content."""
    content = b"".join(parts)
    size = len(content)
    if size < _SHORT:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _SHORT | len(length)]) + length + content


_ALGORITHM = _node(_SEQUENCE, _id("1.2.840.113549.1.1.11"), _node(_NULL))
"""SHA-256 with RSA."""
_TRUE = _node(_BOOLEAN, b"\xff")
