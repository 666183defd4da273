"""Records in a file that may end, or break, anywhere."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.spool.frames import HEADER, Damage, Frame, encode, new_header, scan

PAYLOADS = st.lists(st.binary(max_size=60), min_size=1, max_size=5)


def made(payloads: list[bytes]) -> tuple[bytes, list[int]]:
    """A file of these records, and where each of them ends."""
    header = new_header()
    frames = [encode(payload, header) for payload in payloads]
    return header + b"".join(frames), list(itertools.accumulate((len(f) for f in frames), initial=HEADER))[1:]


def payloads_of(data: bytes, start: int = 0) -> list[bytes]:
    return [found.payload for found in scan(data, start) if isinstance(found, Frame)]


@given(PAYLOADS)
def test_written_records_are_read_back(payloads: list[bytes]) -> None:
    """Every record comes back, in order, and nothing is called damaged."""
    data, _ = made(payloads)
    assert [found.payload for found in scan(data) if isinstance(found, Frame)] == payloads
    assert not [found for found in scan(data) if isinstance(found, Damage)]


@given(PAYLOADS)
def test_a_file_may_end_at_every_byte(payloads: list[bytes]) -> None:
    """Whatever was whole is read; the torn rest is skipped, reported as torn, and never raises."""
    data, ends = made(payloads)
    for length in range(len(data) + 1):
        found = list(scan(data[:length]))
        whole = [end for end in ends if end <= length]
        assert [each.payload for each in found if isinstance(each, Frame)] == payloads[: len(whole)]
        damage = [each for each in found if isinstance(each, Damage)]
        clean = length == 0 or length == (whole[-1] if whole else HEADER)
        assert damage == ([] if clean else [Damage(damage[0].start, length, torn=True)])


@given(PAYLOADS, st.data())
def test_one_broken_byte_costs_one_record(payloads: list[bytes], data: st.DataObject) -> None:
    """Only the record with the changed byte is lost; those before and after it are read."""
    whole, ends = made(payloads)
    place = data.draw(st.integers(HEADER, len(whole) - 1))
    broken = bytearray(whole)
    broken[place] ^= data.draw(st.integers(1, 255))
    hit = next(n for n, end in enumerate(ends) if place < end)
    assert payloads_of(bytes(broken)) == payloads[:hit] + payloads[hit + 1 :]


@given(PAYLOADS, st.binary(max_size=40))
def test_a_stretch_of_anything_between_records_is_skipped(payloads: list[bytes], junk: bytes) -> None:
    """What a failed append left behind does not spoil what comes after it."""
    header = new_header()
    data = header + junk.join(encode(payload, header) for payload in payloads)
    assert payloads_of(data) == payloads


@given(PAYLOADS, st.data())
def test_reading_can_begin_where_it_was_left(payloads: list[bytes], data: st.DataObject) -> None:
    """From the end of one record on, exactly the following ones are read."""
    whole, ends = made(payloads)
    done = data.draw(st.integers(0, len(payloads)))
    assert payloads_of(whole, ([0, *ends])[done]) == payloads[done:]


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=40))
def test_a_body_cannot_forge_a_record(before: bytes, forged: bytes) -> None:
    """Bytes of a body that look like a record are not read as one, even if the record around them is torn."""
    header = new_header()
    inside = encode(forged, new_header())
    torn = encode(before + inside, header)[:-1] if before else encode(inside + b"x", header)[:-1]
    assert payloads_of(header + torn) == []


@given(st.binary(max_size=200))
def test_a_file_of_anything_is_read_without_an_error(data: bytes) -> None:
    """A file that is none of ours holds no record."""
    assert payloads_of(data) == []
