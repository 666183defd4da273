"""Every setting of the service, typed, in one place.

Values come from the environment, from files named by ``NAME_FILE`` variables (for secrets), from ``.env`` in the
current folder and, while ``make run`` is up in this checkout, from ``var/stack.env``; earlier ones win.
``docs/settings.md`` is generated from this module (``make docs``).
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Literal

import click
from dotenv import dotenv_values
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.settings.development import is_development, made_secrets
from app.settings.limits import CallbackLimits, LimitsOfUrls
from app.settings.types import (
    AgeAndSize,
    Bucket,
    BucketNames,
    Buckets,
    Bytes,
    Checks,
    Endpoints,
    Fingerprints,
    Kept,
    Keys,
    Network,
    Networks,
    Proxies,
    PublicUrl,
    RedisUrl,
    Seconds,
    WebhookKeys,
    Words,
)

_BESIDE = Path(__file__).resolve().parents[2]
# The checkout, or, for an installed package, the folder that the process was started in.
ROOT = _BESIDE if (_BESIDE / "gunicorn.conf.py").exists() else Path.cwd()
STACK_ENV = ROOT / "var" / "stack.env"


class SettingsError(click.ClickException):
    """The start is refused; the message names every fault and what each setting is for."""

    exit_code = 2


class Settings(BaseSettings):
    """What the operator decides. Durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        arbitrary_types_allowed=True,
        env_ignore_empty=True,
        validate_default=True,
    )

    redis_url: RedisUrl = Field(
        description="Redis or Valkey that keeps everything: `redis://`, `rediss://`, `unix://`, "
        "or `redis+sentinel://user:password@host:port,host:port/service`, with "
        "`?sentinel_username=…&sentinel_password=…` where the sentinels have passwords of their own."
    )
    public_url: PublicUrl = Field(
        None,
        description="Where CI reaches this service, a path prefix allowed. Without it jobs go out with `CallBack=no` "
        "and CI is asked instead.",
    )
    cos_secret_id: str = Field(
        description="SecretId of the Tencent Cloud account that owns the jobs.", min_length=1
    )
    cos_secret_key: SecretStr = Field(description="SecretKey of that account.", min_length=1)
    cos_token: SecretStr | None = Field(
        None, description="Session token, where the credentials are temporary ones."
    )
    cos_region: str = Field(description="Default region of buckets, such as `ap-chongqing`.", min_length=1)
    cos_bucket: Bucket = Field(description="Default bucket, with its APPID: `name-1250000000`.")
    cos_buckets: Buckets = Field(
        (),
        description="Comma list of further buckets of yours: `name-1250000000` (in `COS_REGION`) or "
        "`name-1250000000:ap-beijing`. CI is asked about the jobs of a bucket only if it is `COS_BUCKET`, one of "
        "these, or one that a submission, a callback URL or CI itself has named.",
    )
    trust_outputs: BucketNames = Field(
        frozenset(),
        description="Comma list of buckets whose objects are linked and looked up as soon as a callback names them. "
        "Elsewhere only objects that the submission asked for, or that CI's own answer named, are.",
    )
    ci_endpoint: PublicUrl = Field(
        None, description="A fixed address for CI and COS: the emulator or a proxy. Default: Tencent's own."
    )
    callback_keys: Keys = Field(
        description="Comma list of `id:secret` that sign callback URLs: the first signs, all verify. "
        "Made on the first run where `PUBLIC_URL` is a loopback address."
    )
    callback_keys_withdrawn: Words = Field(
        (),
        description="Comma list of ids of keys that are gone on purpose (leaked, say). Without it a start is refused "
        "while jobs are open whose URLs they signed; with it CI is asked about those jobs.",
    )
    callback_life: Seconds = Field(
        30 * 86400,
        description="How long the callback URL of a submission is valid. At most `RETENTION_JOBS`. "
        "A URL of `flask callback-url` expires only with `--days`.",
    )
    callback_limits: LimitsOfUrls = Field(
        CallbackLimits(),
        description="What one callback URL may cost: comma list of `name=value`, a name that is left out keeps its "
        "default. `submission_…` hold for the URL of one submission: callbacks a minute, bytes kept in all, handler "
        "runs of a job; `console_…` for a URL of `flask callback-url`: callbacks and bytes a minute, handler runs of a "
        "job. Callbacks and bytes beyond them get 429.",
    )
    revoked_tokens: Fingerprints = Field(
        frozenset(),
        description="Comma list of fingerprints of callback tokens that are refused, whatever Redis knows: also while "
        "it is away, and after it came back empty. `flask callback-url --revoke` prints the fingerprint.",
    )
    callback_format: Literal["JSON", "XML"] = Field(
        "JSON", description="The format that submitted jobs ask CI for."
    )
    verify: Checks = Field(
        frozenset({"token", "binding"}),
        description="Comma list of checks on a callback: `token`, `ip`, `binding`, `confirm`.",
    )
    allowed_ips: Networks = Field(
        (), description="Networks that callbacks may come from (with `ip` in `VERIFY`)."
    )
    trusted_proxies: Proxies = Field(
        (),
        description="Networks of the proxies whose `X-Forwarded-For` is believed, and `unix` for one that calls over "
        "a Unix socket; all others' is ignored.",
    )
    max_body: Bytes = Field(2**20, description="Largest body of a request, in bytes.")
    spool_dir: Path | None = Field(
        None,
        description="Folder on a local disk, this installation's own, that keeps callbacks while Redis cannot. "
        "Without it they are answered with 503 then.",
    )
    spool_max: Bytes = Field(
        256 * 2**20,
        description="The most that may wait in the spool, in bytes. What is put aside has as much "
        "room again.",
    )
    durability: Literal["process", "fsync", "replicated"] = Field(
        "process",
        description="What an answered callback survives: the death of any `process`; of the machine (`fsync`); "
        "of the Redis host (`replicated`). See docs/durability.md.",
    )
    deadline: Seconds = Field(
        3600, description="Silence after which CI is asked about a job, and it is `overdue`."
    )
    search_for: Seconds = Field(
        6 * 3600,
        description="How long a submission whose answer was lost is looked for in CI's list, before it has failed.",
    )
    handlers: Words = Field(
        ("workers.handlers",), description="Comma list of importable modules that hold handlers."
    )
    worker_processes: int = Field(
        2, gt=0, le=64, description="Handlers that one `python -m workers.worker` runs at the same time."
    )
    check_outputs: bool = Field(
        True,
        description="After `Success`, ask COS for every output and fill in `size`, `etag`, `outputs_ok`.",
    )
    forward_urls: Endpoints = Field(
        (),
        description="Comma list of addresses that events are posted to, each with optional filters: "
        "`https://host/path#tag=VoiceSeparate&state=Success&state=Failed&bucket=name-1250000000`. A repeated filter "
        "takes any of its values; `name=` gives the endpoint another name than its address without the query. "
        "A comma in an address is written `%2C`.",
    )
    forward_keys: WebhookKeys = Field(
        (),
        description="Comma list of `whsec_…` keys (Standard Webhooks) that sign what is forwarded. All sign, the first "
        "one first: while rotating, the new and the old one.",
    )
    forward_allow_private: Networks = Field(
        (),
        description="Networks of private, loopback or link-local addresses that may be forwarded to after all.",
    )
    forward_timeout: Seconds = Field(
        10,
        description="The longest that one forwarded request may take, from connecting to the end of the answer.",
    )
    forward_tries: int = Field(
        15, gt=0, description="Tries of one event at one endpoint, before it is a failure."
    )
    forward_backoff: Seconds = Field(
        5, description="Pause after the first try; it doubles with each try, up to 4 h."
    )
    forward_life: Seconds = Field(
        3 * 86400,
        description="How long an event waits for an endpoint that is out of order, before it is a failure.",
    )
    forward_concurrency: int = Field(
        4, gt=0, le=64, description="Requests that each relay makes to one endpoint at the same time."
    )
    link_seconds: Seconds = Field(
        3600, le=7 * 86400, description="How long presigned links in a job's record work."
    )
    web_threads: int = Field(
        600, ge=2, description="Threads of each web process. Clients that wait for a job hold one each."
    )
    retention_raw: Seconds = Field(7 * 86400, description="How long raw payloads are kept.")
    retention_jobs: Seconds = Field(
        90 * 86400,
        description="How long jobs are kept after their last change; twice as long with failures or unfinished runs.",
    )
    retention_refusals: Kept = Field(
        AgeAndSize(7 * 86400, 64 * 2**20),
        description="How long callbacks are kept that were refused although their token was good, and how many bytes "
        "of Redis they may fill (64 MiB where only the first part is given). One token may fill an eighth of that. The "
        "oldest go first.",
    )
    key_prefix: str = Field(
        "ci:", description="Prefix of every Redis key: several installations on one Redis."
    )
    history_max: int = Field(
        200, gt=0, description="Entries kept in one job's history; later ones are only counted."
    )
    outbox_max: int = Field(
        100_000,
        gt=0,
        description="Events that may wait in the outbox; past it callbacks with news go to the spool.",
    )
    jobs_max: int = Field(
        5_000_000,
        gt=0,
        description="Jobs that may be kept; past it callbacks of jobs never seen go to the spool.",
    )
    redis_timeout: Seconds = Field(
        2.0, description="The longest that a request waits for a Redis that does not answer."
    )

    # Of one field each, and not of the whole: those are looked at only when every field is right by itself.
    @field_validator("allowed_ips")
    @classmethod
    def _ip_check_needs_networks(
        cls, networks: tuple[Network, ...], info: ValidationInfo
    ) -> tuple[Network, ...]:
        if "ip" in info.data.get("verify", ()) and not networks:
            raise ValueError("VERIFY holds ip, so it must name the networks that callbacks come from")
        return networks

    @field_validator("retention_jobs")
    @classmethod
    def _jobs_outlive_their_urls(cls, seconds: float, info: ValidationInfo) -> float:
        life = info.data.get("callback_life")
        if life is not None and life > seconds:
            raise ValueError(
                f"is shorter than CALLBACK_LIFE ({life / 86400:g} d), so a callback could come for a job that is gone: "
                "raise it, or lower CALLBACK_LIFE"
            )
        return seconds

    @field_validator("forward_keys")
    @classmethod
    def _what_is_forwarded_is_signed(
        cls, keys: tuple[SecretStr, ...], info: ValidationInfo
    ) -> tuple[SecretStr, ...]:
        if info.data.get("forward_urls") and not keys:
            raise ValueError("FORWARD_URLS is set, so it must name a key to sign with: whsec_…")
        return keys

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SecretFiles(settings_cls), dotenv_settings


class _Unreadable:
    """Stands where a value should be; no field takes it, and the message says why."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


class _SecretFiles(PydanticBaseSettingsSource):
    """``NAME_FILE`` holds the path of a file whose content is the value of ``NAME``."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        name = f"{field_name.upper()}_FILE"
        path = os.environ.get(name) or dotenv_values(".env").get(name)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "no text in UTF-8"
            return _Unreadable(f"{name} names a file that cannot be read: {path} ({why})"), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def stack_is_up() -> bool:
    """Whether ``make run`` is up in this checkout."""
    pid = dotenv_values(STACK_ENV).get("STACK_PID") if STACK_ENV.exists() else None
    if not pid:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _env_files() -> tuple[Path, ...]:
    """The running stack speaks only for those who name no Redis of their own: the two are never mixed."""
    own = os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")
    own = own or dotenv_values(".env").get("REDIS_URL") or dotenv_values(".env").get("REDIS_URL_FILE")
    return (STACK_ENV, Path(".env")) if not own and stack_is_up() else (Path(".env"),)


_held: dict[str, Any] | None = None


def load() -> Settings:
    """Read the settings, or raise one ``SettingsError`` that names every fault. Held ones are not read anew."""
    try:
        return Settings(**_held) if _held else Settings(_env_file=_env_files(), **_made_keys())
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def packed(chosen: Settings) -> bytes:
    """The settings for another process of this installation: ``hold`` takes them. They hold secrets."""
    return pickle.dumps(dict(chosen))


def unpacked(values: bytes) -> Settings:
    """The inverse of ``packed``; settings that are newer than the bytes come from where they always come from."""
    return Settings(**pickle.loads(values))  # noqa: S301 - from our own process, by a pipe or through a fork


def hold(values: bytes) -> None:
    """From now on ``load`` answers with these settings: whatever happens to files, this process serves with one set."""
    global _held  # noqa: PLW0603 - a process serves with one set of settings
    _held = dict(unpacked(values))


def _made_keys() -> dict[str, Any]:
    """Where nobody outside this machine can call, callback keys need not be given: they are made once."""
    given = dict(dotenv_values(".env")) | dict(os.environ)
    if given.get("CALLBACK_KEYS") or given.get("CALLBACK_KEYS_FILE") or len(_env_files()) > 1:
        return {}
    if not given.get("REDIS_URL") or not is_development(given.get("PUBLIC_URL")):
        return {}
    return {"callback_keys": made_secrets(STACK_ENV.parent)["CALLBACK_KEYS"]}


def _explain(error: ValidationError) -> str:
    lines = ["The settings are not complete:"]
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = Settings.model_fields.get(name)
        what = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        if isinstance(fault["input"], _Unreadable):
            what = fault["input"].sentence
        lines.append(f"  {name.upper()}: {what}. {field.description}" if field else f"  {what}.")
    lines.append(
        "Set them in the environment or in .env (docs/settings.md), or try it all out with: make run"
    )
    return "\n".join(lines)
