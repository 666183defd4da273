"""Every setting of the service, typed, in one place.

Values come from the environment, from files named by ``NAME_FILE`` variables (for secrets), from ``.env`` in the
current folder and, while ``make run`` is up in this checkout, from ``var/stack.env``; earlier ones win (loading.py).
``docs/settings.md`` is generated from this module (``make docs``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.settings.callback_limits import CallbackLimits, LimitsOfUrls
from app.settings.chats import Chat
from app.settings.endpoints import Endpoint
from app.settings.rates import Rate, RateLimit
from app.settings.secret_files import SecretFiles
from app.settings.types import (
    AgeAndSize,
    Bucket,
    BucketNames,
    Buckets,
    Bytes,
    ChatList,
    EndpointList,
    Fingerprints,
    Keys,
    LaneList,
    Network,
    Networks,
    Origins,
    Proxies,
    PublicUrl,
    RedisUrl,
    RetentionLimit,
    Seconds,
    VerifySteps,
    WebhookKeys,
    Words,
)


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
        description="Redis or Valkey that stores everything: `redis://`, `rediss://`, `unix://`, "
        "or `redis+sentinel://user:password@host:port,host:port/service`, with "
        "`?sentinel_username=…&sentinel_password=…` where the sentinels have passwords of their own."
    )
    public_url: PublicUrl = Field(
        None,
        description="URL at which CI reaches this service; a path prefix is allowed. Without it, jobs are sent with "
        "`CallBack=no` and CI is asked instead.",
    )
    cos_secret_id: str = Field(
        description="SecretId of the Tencent Cloud account that owns the jobs.", min_length=1
    )
    cos_secret_key: SecretStr = Field(description="SecretKey of that account.", min_length=1)
    cos_token: SecretStr | None = Field(None, description="Session token, if the credentials are temporary.")
    cos_region: str = Field(description="Default region of buckets, such as `ap-chongqing`.", min_length=1)
    cos_bucket: Bucket = Field(description="Default bucket, with its APPID: `name-1250000000`.")
    cos_buckets: Buckets = Field(
        (),
        description="Comma list of your other buckets: `name-1250000000` (in `COS_REGION`) or "
        "`name-1250000000:ap-beijing`. CI is asked about the jobs of a bucket only if it is `COS_BUCKET`, one of "
        "these, or named by a submission, a callback URL or CI itself.",
    )
    trust_outputs: BucketNames = Field(
        frozenset(),
        description="Comma list of buckets whose objects are linked and looked up as soon as a callback names them. "
        "In other buckets, only objects named by the submission or by CI's own answer are.",
    )
    ci_endpoint: PublicUrl = Field(
        None,
        description="Fixed URL for CI and COS, such as the emulator's or a proxy's. Default: Tencent's own.",
    )
    callback_keys: Keys = Field(
        description="Comma list of `id:secret` that sign callback URLs: the first signs, all verify. "
        "Generated on the first start if `PUBLIC_URL` is a loopback address."
    )
    callback_keys_withdrawn: Words = Field(
        (),
        description="Comma list of ids of keys that you removed on purpose, such as leaked ones. Otherwise the start "
        "fails while jobs are open whose callback URLs these keys signed. CI is asked about those jobs.",
    )
    session_keys: Keys | None = Field(
        None,
        description="Comma list of `id:secret` that sign the cookie of a browser that is signed in: the first signs, "
        "all verify. Default: derived from `CALLBACK_KEYS`.",
    )
    callback_life: Seconds = Field(
        30 * 86400,
        description="How long the callback URL of a submission is valid. At most `RETENTION_JOBS`. "
        "A URL of `flask callback-url` expires only with `--days`.",
    )
    callback_limits: LimitsOfUrls = Field(
        CallbackLimits(),
        description="Limits of one callback URL: comma list of `name=value`; an omitted name keeps its "
        "default. `submission_…` apply to the URL of one submission: callbacks per minute, bytes stored in total, "
        "handler runs per job. `console_…` apply to a URL from `flask callback-url`: callbacks and bytes per minute, "
        "handler runs per job. Callbacks beyond the limits get 429.",
    )
    revoked_tokens: Fingerprints = Field(
        frozenset(),
        description="Comma list of fingerprints of revoked callback tokens. It applies even while Redis is "
        "unavailable or after Redis lost its data. `flask callback-url --revoke` prints the fingerprint.",
    )
    api_rate: RateLimit = Field(
        Rate(100, 1, 500),
        description="Requests of one API key, as `100/s`, `600/min` or `5000/h`, and how many at once after a pause "
        "(`, burst 500`; default: the count). Each web process counts for itself, so that N processes allow up to N "
        "times this. Beyond it: 429. Callbacks and the pages are not counted.",
    )
    api_cors_origins: Origins = Field(
        frozenset(),
        description="Comma list of origins, as `https://app.example.com`, whose scripts may read answers of the API in "
        "a browser (CORS). Each is matched exactly; `*` is refused. Default: none.",
    )
    callback_format: Literal["JSON", "XML"] = Field(
        "JSON", description="Callback format requested for submitted jobs."
    )
    verify: VerifySteps = Field(
        frozenset({"token", "binding"}),
        description="Comma list of checks on a callback: `token`, `ip`, `binding`, `confirm`.",
    )
    allowed_ips: Networks = Field(
        (), description="Networks that may send callbacks; used if `VERIFY` contains `ip`."
    )
    trusted_proxies: Proxies = Field(
        (),
        description="Networks of the proxies whose `X-Forwarded-For` is trusted, or `unix` for a proxy on a Unix "
        "socket; the header is ignored from any other client.",
    )
    max_body: Bytes = Field(2**20, description="Largest body of a request, in bytes.")
    spool_dir: Path | None = Field(
        None,
        description="Folder on a local disk, used by this installation only, that stores callbacks while Redis is "
        "unavailable. Without it, they are answered with 503.",
    )
    spool_max: Bytes = Field(
        256 * 2**20,
        description="Maximum size of the pending spool records, in bytes. Records that are set aside may use "
        "the same amount in addition.",
    )
    durability: Literal["process", "fsync", "replicated"] = Field(
        "process",
        description="What an answered callback survives: the crash of any process (`process`), of the machine that "
        "Redis runs on (`fsync`), or the loss of the Redis host (`replicated`). See docs/durability.md.",
    )
    deadline: Seconds = Field(
        3600, description="Time without news after which a job is `overdue` and CI is asked about it."
    )
    search_for: Seconds = Field(
        6 * 3600,
        description="How long a `lost` submission is searched for in CI's list before it becomes `failed`.",
    )
    submit_max_per_day: int | None = Field(
        None,
        ge=0,
        description="Maximum number of jobs that are sent to CI in a day (UTC), by the API and by commands together. "
        "Beyond it a request is answered with 429. Without it, there is no limit.",
    )
    log_format: Literal["text", "json"] | None = Field(
        None,
        description="How log lines are written: docs/logs.md. Default: `text` on a terminal, else `json`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        description="Lines below this level are not written. At `DEBUG`, health checks are logged too.",
    )
    handlers: Words = Field(
        ("workers.handlers",), description="Comma list of importable modules that declare handlers."
    )
    worker_processes: int = Field(
        2,
        gt=0,
        le=64,
        description="Handlers that one `python -m workers.worker` runs concurrently. They are divided among the lanes "
        "that it serves; each lane has at least one, even beyond this number.",
    )
    lanes: LaneList = Field(
        (),
        description="Comma list of lanes (`queue=` of handlers) with limits of their own: "
        "`slow:processes=1;memory=2GiB`. "
        "`processes` of each `python -m workers.worker` serve it, `memory` is its `HANDLER_MEMORY`.",
    )
    handler_memory: Bytes | None = Field(
        None,
        description="How much memory the process of a handler may take beyond what it starts with, in bytes. Above it "
        "Python raises `MemoryError`, which is a failed try. Default: no limit.",
    )
    check_outputs: bool = Field(
        True,
        description="After `Success`, look up every output in COS and fill in `size`, `etag`, `outputs_ok`.",
    )
    forward_urls: EndpointList = Field(
        (),
        description="Comma list of endpoint URLs that events are delivered to, each with optional filters: "
        "`https://host/path#tag=VoiceSeparate&state=Success&state=Failed&bucket=name-1250000000`. A repeated filter "
        "matches any of its values. `on=overdue` and the like select events about failures (docs/events.md). "
        "`name=` names the endpoint; the default is its URL without the query. "
        "Write a comma in a URL as `%2C`.",
    )
    forward_keys: WebhookKeys = Field(
        (),
        description="Comma list of `whsec_…` keys (Standard Webhooks) that sign deliveries. Every key signs, in this "
        "order: to rotate, put the new key before the old one.",
    )
    forward_allow_private: Networks = Field(
        (),
        description="Private, loopback or link-local networks to which deliveries are allowed.",
    )
    forward_timeout: Seconds = Field(
        10,
        description="Timeout of one delivery, from connecting to the end of the response.",
    )
    forward_tries: int = Field(
        15, gt=0, description="Tries to deliver one event to one endpoint before it is a failure."
    )
    forward_backoff: Seconds = Field(
        5, description="Back-off after the first try; it doubles with each try, up to 4 h."
    )
    forward_life: Seconds = Field(
        3 * 86400,
        description="How long an event stays pending for an endpoint that is down before it is a failure.",
    )
    forward_concurrency: int = Field(
        4, gt=0, le=64, description="Concurrent deliveries from each relay to one endpoint."
    )
    chat_webhook: ChatList = Field(
        (),
        description="Comma list of incoming webhooks of chats that get a message about failures, one a minute "
        "for each kind: Slack, WeCom, DingTalk or Feishu by the host, else `#kind=slack`. More after the `#`: "
        "`on=overdue&on=run_failed` (default: every kind), `tag=…`, `secret=…` (DingTalk, Feishu), `name=…`. "
        "The URLs are secrets: prefer `CHAT_WEBHOOK_FILE`.",
    )
    link_seconds: Seconds = Field(
        3600, le=7 * 86400, description="How long presigned links in a job's record stay valid."
    )
    waiting_max: int = Field(
        5000,
        ge=1,
        description="How many clients may wait for a job, or listen to events, in each web process. Above "
        "it streams get 503; `?wait=` is answered at once.",
    )
    retention_raw: Seconds = Field(7 * 86400, description="How long raw payloads are kept.")
    retention_jobs: Seconds = Field(
        90 * 86400,
        description="How long jobs are kept after their last change; twice as long with failures or unfinished runs.",
    )
    retention_refusals: RetentionLimit = Field(
        AgeAndSize(7 * 86400, 64 * 2**20),
        description="How long refusals are kept, and how many bytes of Redis they may use (64 MiB if "
        "only the first part is given). One token may use an eighth of that. The oldest refusals are removed first.",
    )
    key_prefix: str = Field(
        "ci:", description="Prefix of every Redis key; give each installation on a shared Redis its own."
    )
    history_max: int = Field(
        200, gt=0, description="Entries stored in one job's history; later ones are only counted."
    )
    outbox_max: int = Field(
        100_000,
        gt=0,
        description="Maximum number of pending events in the outbox; above it, callbacks with news go to the spool.",
    )
    jobs_max: int = Field(
        5_000_000,
        gt=0,
        description="Maximum number of stored jobs; above it, callbacks for unknown jobs go to the spool.",
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port at which a relay or a worker serves its metrics (docs/metrics.md), on `HOST` (127.0.0.1). On "
        "one machine, each process needs another one. The web service has `/metrics`.",
    )
    redis_timeout: Seconds = Field(2.0, description="How long a request waits for Redis to answer.")

    # Of fields, not of the model: that one runs only if every field is valid, and a start would name fewer faults.
    @field_validator("allowed_ips")
    @classmethod
    def _ip_check_needs_networks(
        cls, networks: tuple[Network, ...], info: ValidationInfo
    ) -> tuple[Network, ...]:
        if "ip" in info.data.get("verify", ()) and not networks:
            raise ValueError("VERIFY contains ip, so it must name the networks that callbacks come from")
        return networks

    @field_validator("retention_jobs")
    @classmethod
    def _jobs_outlive_their_urls(cls, seconds: float, info: ValidationInfo) -> float:
        life = info.data.get("callback_life")
        if life is not None and life > seconds:
            raise ValueError(
                f"is shorter than CALLBACK_LIFE ({life / 86400:g} d), so a callback could arrive for a deleted job: "
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

    @property
    def endpoints(self) -> tuple[Endpoint | Chat, ...]:
        """All endpoints that deliveries go to: those of ``FORWARD_URLS`` and ``CHAT_WEBHOOK``."""
        return (*self.forward_urls, *self.chat_webhook)

    @field_validator("chat_webhook")
    @classmethod
    def _names_are_distinct(cls, chats: tuple[Chat, ...], info: ValidationInfo) -> tuple[Chat, ...]:
        taken = {each.name for each in info.data.get("forward_urls", ())}
        if twice := sorted(taken & {each.name for each in chats}):
            raise ValueError(
                f"an endpoint of FORWARD_URLS is called {twice[0]!r} too; give it another #name=…"
            )
        return chats

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings
