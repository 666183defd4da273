"""The job that handlers get: its outputs can be read from COS, with the service's own client and credentials.

An output can be read if the submission asked for it, if CI itself has named it, or if it is in a bucket of
TRUST_OUTPUTS: an object that only a callback names could be a stranger's choice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self, TypeVar, cast

from msgspec import Struct
from msgspec.structs import fields
from pydantic import GetCoreSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import CoreSchema

from app import store
from app.ci.report import Output
from app.store.reading.job import ReadRaw, no_raw

_CHUNK = 2**20


class Objects(Protocol):
    """Reads objects: the provider, or its replacement in a test."""

    def open_object(self, bucket: str, region: str, key: str) -> BinaryIO: ...

    def presigned_url(self, bucket: str, region: str, key: str, seconds: int) -> str: ...


class NotConfirmed(Exception):
    """Only a callback names this output, and CI is being asked. If a handler raises it, the run is retried."""


class ObjectAccess(Struct, frozen=True):
    """Reads the outputs of one job. ``refuse`` raises ``NotConfirmed``; it is ``None`` if they may be read."""

    objects: Objects
    link_s: int
    refuse: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return "ObjectAccess()"


class OutputFile(Output, frozen=True, kw_only=True):
    """One file that CI reports to have written, which can be read."""

    access: Any = None

    def open(self) -> BinaryIO:
        """The object's bytes as a stream, to be closed. Raises ``FileNotFoundError`` if it is not there,
        ``NotConfirmed`` if only a callback names it, ``ProviderError`` if COS does not answer."""
        bucket, region = self._place()
        stream: BinaryIO = self.access.objects.open_object(bucket, region, self.object)
        return stream

    def download(self, path: str | os.PathLike[str]) -> Path:
        """Write the object to that file, which appears only when it is complete. Raises as ``open``, and ValueError if
        the object's MD5 is not the one that CI reported."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self.open() as stream, partial.open("wb") as file:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            if self.md5 and digest.hexdigest() != self.md5.lower():
                raise ValueError(
                    f"{self.bucket}/{self.object} has the MD5 {digest.hexdigest()}, CI wrote {self.md5}"
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def link(self, seconds: int | None = None) -> str:
        """A presigned URL, valid for ``seconds`` (default: LINK_SECONDS). Raises ``NotConfirmed`` if only a callback
        names the output."""
        bucket, region = self._place()
        url: str = self.access.objects.presigned_url(
            bucket, region, self.object, seconds or self.access.link_s
        )
        return url

    @property  # type: ignore[misc]
    def url(self) -> str | None:
        """``link()`` on demand; ``None`` if only a callback names it."""
        if self.access is None or self.access.refuse or not (self.bucket and self.region):
            return None
        return self.link()

    def _place(self) -> tuple[str, str]:
        if self.access is None:
            raise RuntimeError("this output cannot be read here: only handlers get outputs that can be")
        if self.access.refuse:
            self.access.refuse()
        if not (self.bucket and self.region):
            raise FileNotFoundError(f"CI has not reported the bucket of {self.object}")
        return self.bucket, self.region

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # In JSON it is a plain output.
        return handler.generate_schema(Output)


class ReadableJob(store.Job):
    """The normalized job; its outputs can be opened, downloaded and linked. ``raw`` is read at its first access,
    because that takes as long as all the rest of the job, and few handlers need it (docs/performance.md)."""

    outputs: tuple[OutputFile, ...] = ()
    _read_raw: ReadRaw = no_raw

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Reads a field at its first access."""
            if name != "raw":
                return super().__getattr__(name)
            return self.__dict__.setdefault("raw", self._read_raw())

    @model_serializer(mode="wrap")
    def _serialized(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return cast(dict[str, Any], write(_whole(self)))

    def __eq__(self, other: object) -> bool:
        return super(ReadableJob, _whole(self)).__eq__(_whole(other))

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        return super(ReadableJob, _whole(self)).__iter__()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return super(ReadableJob, _whole(self)).__repr_args__()

    def __copy__(self) -> Self:
        return super(ReadableJob, _whole(self)).__copy__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return super(ReadableJob, _whole(self)).__deepcopy__(memo)

    __hash__ = None  # type: ignore[assignment]


T = TypeVar("T")


def _whole(job: T) -> T:
    """The job with all fields read, for code that uses them at once."""
    getattr(job, "raw", None)
    return job


_FIELDS = tuple(each.name for each in fields(Output))
_COPIED = tuple(name for name in store.Job.model_fields if name not in {"outputs", "raw"})


def readable(job: store.Job, access: ObjectAccess, read_raw: ReadRaw | None = None) -> ReadableJob:
    """The same job with readable outputs; ``read_raw``, if given, returns its ``raw``."""
    values = {name: getattr(job, name) for name in _COPIED}
    values["outputs"] = tuple(
        OutputFile(**{name: getattr(each, name) for name in _FIELDS}, access=access) for each in job.outputs
    )
    found = ReadableJob.model_construct(**values)
    found._read_raw = read_raw or (lambda: job.raw)
    return found


def access_for(
    kept: store.Store, objects: Objects, link_s: float, event: store.Event, job: store.Job
) -> ObjectAccess:
    """The access to this job's outputs. If CI has to be asked first, the first attempt to read schedules that."""
    if job.outputs_unchecked in {None, "too_many"}:
        return ObjectAccess(objects, int(link_s))

    def refuse() -> None:
        answer = kept.due.ask_outputs(event.job_id, job.report.digest, _GATHER_S)
        raise NotConfirmed(
            f"only a callback names the outputs of job {event.job_id} ({job.outputs_unchecked}); "
            + ("CI is asked whether it wrote them" if answer == "asked" else "CI has answered since")
        )

    return ObjectAccess(objects, int(link_s), refuse)


_GATHER_S = 1.0
"""How long questions are collected before CI is asked: one request names many jobs."""
