"""Records that the drainer cannot store, however often it tries."""

from __future__ import annotations

from collections.abc import Callable

from app.spool.record import encode_record, pack_refusal
from app.store import Store
from app.store.refusals.refusal import Refusal
from tests.store.samples import news


def _odd(kind: str) -> Callable[[Store, str], bytes]:
    """A record of a job whose key of this kind holds a value of another type."""

    def make(store: Store, job_id: str) -> bytes:
        store.db.client.set(store.db.key(kind, job_id), "of another type")
        return encode_record(news(job_id))

    return make


def _odd_refusal(store: Store, job_id: str) -> bytes:
    store.db.client.set(store.db.key("refused"), "of another type")
    return pack_refusal(Refusal("binding_mismatch", "", "f00f", job_ids=(job_id,)))


def _later_version(_store: Store, job_id: str) -> bytes:
    return b'{"v": 9, "what": "' + job_id.encode() + b'"}\n'


def _no_head(_store: Store, job_id: str) -> bytes:
    return b'["' + job_id.encode() + b'"]\n{}'


def _no_body(_store: Store, job_id: str) -> bytes:
    return encode_record(news(job_id)).partition(b"\n")[0] + b"\nthis is no callback"


def _of_another_shape(_store: Store, job_id: str) -> bytes:
    """A readable record that the store cannot accept."""
    return encode_record(news(job_id)).replace(b'"ask_after": 60.0', b'"ask_after": "soon"')


POISON = {
    "job": _odd("job"),
    "record": _odd("record"),
    "refusal": _odd_refusal,
    "later version": _later_version,
    "no head": _no_head,
    "no body": _no_body,
    "shape": _of_another_shape,
}
