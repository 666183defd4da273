"""What one callback URL may cost: ``CALLBACK_LIMITS``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import NoDecode

from app.settings.types import Bytes

_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


class CallbackLimits(BaseModel):
    """``submission_…`` limit the URL of one submission, ``console_…`` a URL for CI's console, with any number of jobs.

    ``…_runs``: handler runs of one job. ``submission_bytes``: bytes stored of all its callbacks together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    submission_per_minute: int = Field(120, gt=0)
    submission_bytes: Bytes = 16 * 2**20
    submission_runs: int = Field(20, gt=0)
    console_per_minute: int = Field(60_000, gt=0)
    console_bytes_per_minute: Bytes = 256 * 2**20
    console_runs: int = Field(20, gt=0)

    @classmethod
    def parse(cls, text: str) -> CallbackLimits:
        """``name=value,name=value``; an omitted name keeps its default. Raises ValueError that names every fault."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        pairs = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in parts)]
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is given twice")
        try:
            return cls.model_validate(dict(pairs))
        except ValidationError as error:
            raise ValueError("; ".join(_faults(error))) from None

    def __str__(self) -> str:
        """The value of the setting."""
        return ",".join(
            f"{name}={_size(value) if 'bytes' in name else value}"
            for name, value in self.model_dump().items()
        )


def _faults(error: ValidationError) -> list[str]:
    """One clause for each value that is wrong, and one that names the limits where a name is unknown."""
    faults = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0])
        if fault["type"] == "extra_forbidden":
            faults.append(
                f"{name[:40]!r} is not a limit; the limits are {', '.join(CallbackLimits.model_fields)}"
            )
        else:
            message = fault["msg"].removeprefix("Value error, ")
            faults.append(f"{name}: {message[0].lower()}{message[1:]}")
    return faults


def _size(value: int) -> str:
    return next((f"{value // unit}{name}" for name, unit in _UNITS if value % unit == 0), str(value))


LimitsOfUrls = Annotated[
    CallbackLimits,
    NoDecode,
    BeforeValidator(lambda value: CallbackLimits.parse(value) if isinstance(value, str) else value),
]
