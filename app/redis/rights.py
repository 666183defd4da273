"""The rights that our Redis user needs: the line for its ACL, and a check that tries each of them.

``COMMANDS`` are what the web, the workers, the relay, the commands and RQ send, in scripts too. A test runs all of them
under exactly this line, and compares the list with the server's own count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from app.redis.connection import MayNotAsk, call_redis

RQ_KEYS = "rq:*"
RQ_CHANNELS = "rq:pubsub:*"
CATEGORIES = ("@read", "@write", "@connection", "@transaction", "@scripting", "@pubsub", "time")
"""Categories and not commands, because a server refuses an ACL that names a command it does not know."""
DANGEROUS = ("info", "config|get")
"""For doctor, ``DURABILITY`` and RQ. They are optional: without them doctor says what it could not check."""


def acl_line(prefix: str) -> str:
    """The line for ``ACL SETUSER`` or the server's ``aclfile``."""
    allowed = " ".join(f"+{each}" for each in CATEGORIES)
    more = " ".join(f"+{each}" for each in DANGEROUS)
    return (
        f"user receiver on >PASSWORD resetkeys ~{prefix}* ~{RQ_KEYS} resetchannels &{RQ_CHANNELS} "
        f"-@all {allowed} -@admin -@dangerous {more}"
    )


_KEY = "{key}"
# Each with the arguments that it requires; none of them is ever executed.
_OF_KEYS: tuple[tuple[str, ...], ...] = (
    ("APPEND", _KEY, "v"), ("STRLEN", _KEY),
    ("DEL", _KEY), ("EXISTS", _KEY), ("EXPIRE", _KEY, "1"), ("GET", _KEY), ("SET", _KEY, "1"), ("HDEL", _KEY, "f"),
    ("HEXISTS", _KEY, "f"), ("HGET", _KEY, "f"), ("HGETALL", _KEY), ("HINCRBY", _KEY, "f", "1"), ("HKEYS", _KEY),
    ("HLEN", _KEY), ("HMGET", _KEY, "f"), ("HSET", _KEY, "f", "1"), ("HVALS", _KEY), ("LINDEX", _KEY, "0"),
    ("LLEN", _KEY), ("LPUSH", _KEY, "v"), ("LRANGE", _KEY, "0", "1"), ("LREM", _KEY, "1", "v"),
    ("LSET", _KEY, "0", "v"), ("LTRIM", _KEY, "0", "1"), ("RPUSH", _KEY, "v"), ("SADD", _KEY, "v"), ("SCARD", _KEY),
    ("SISMEMBER", _KEY, "v"), ("SMEMBERS", _KEY), ("SREM", _KEY, "v"), ("ZADD", _KEY, "1", "v"), ("ZCARD", _KEY),
    ("ZCOUNT", _KEY, "0", "1"), ("ZRANGE", _KEY, "0", "1"), ("ZRANGEBYSCORE", _KEY, "0", "1"), ("ZREM", _KEY, "v"),
    ("ZREMRANGEBYSCORE", _KEY, "0", "1"), ("ZREVRANGEBYSCORE", _KEY, "1", "0"), ("ZSCORE", _KEY, "v"),
    ("ZSCAN", _KEY, "0"), ("ZMSCORE", _KEY, "m"),
    ("XADD", _KEY, "*", "f", "v"), ("XLEN", _KEY), ("XRANGE", _KEY, "-", "+"), ("XTRIM", _KEY, "MAXLEN", "1"),
    ("XACK", _KEY, "g", "1-1"), ("XAUTOCLAIM", _KEY, "g", "c", "1", "0"), ("XGROUP", "CREATE", _KEY, "g", "$"),
    ("XINFO", "STREAM", _KEY), ("XPENDING", _KEY, "g"), ("XREAD", "STREAMS", _KEY, "$"),
    ("XREADGROUP", "GROUP", "g", "c", "STREAMS", _KEY, ">"), ("MGET", _KEY), ("ZREVRANGE", _KEY, "0", "1"),
    ("XREVRANGE", _KEY, "+", "-"), ("PTTL", _KEY), ("INCR", _KEY), ("INCRBY", _KEY, "1"), ("DECRBY", _KEY, "1"),
    ("HSETNX", _KEY, "f", "1"),
    ("TYPE", _KEY), ("PEXPIRE", _KEY, "1"), ("SUNIONSTORE", _KEY, _KEY), ("ZUNIONSTORE", _KEY, "1", _KEY),
)  # fmt: skip
_OF_RQ: tuple[tuple[str, ...], ...] = (
    ("SADD", "rq:queues", "v"), ("HSET", "rq:job:probe", "f", "v"), ("RPUSH", "rq:queue:probe", "v"),
    ("ZADD", "rq:wip:probe", "1", "v"), ("HSET", "rq:worker:probe", "f", "v"), ("GET", "rq:suspended"),
    ("LMOVE", "rq:queue:probe", "rq:intermediate:probe", "LEFT", "RIGHT"),
    ("BLMOVE", "rq:queue:probe", "rq:intermediate:probe", "LEFT", "RIGHT", "1"),
    ("PERSIST", "rq:job:probe"), ("EXPIRE", "rq:job:probe", "1"), ("DEL", "rq:job:probe"), ("LPOP", "rq:queue:probe"),
    ("LPOS", "rq:queue:probe", "v"), ("LREM", "rq:queue:probe", "1", "v"), ("HINCRBYFLOAT", "rq:job:probe", "f", "1"),
    ("ZREMRANGEBYRANK", "rq:wip:probe", "0", "1"), ("ZPOPMIN", "rq:wip:probe"),
    ("RENAME", "rq:job:probe", "rq:job:probe"),
    ("SUBSCRIBE", "rq:pubsub:probe"), ("UNSUBSCRIBE", "rq:pubsub:probe"), ("PUBLISH", "rq:pubsub:probe", "v"),
)  # fmt: skip
_OF_NO_KEY: tuple[tuple[str, ...], ...] = (
    ("EVALSHA", "0" * 40, "0"), ("EVAL", "return 1", "0"), ("SCRIPT", "LOAD", "return 1"), ("TIME",), ("PING",),
    ("WAIT", "1", "1"), ("WAITAOF", "1", "0", "1"), ("CLIENT", "SETNAME", "probe"), ("CLIENT", "INFO"), ("UNWATCH",),
)  # fmt: skip
_BY_THEMSELVES: tuple[tuple[str, ...], ...] = (("WATCH", _KEY), ("UNWATCH",), ("MULTI",), ("EXEC",))
"""These cannot be queued in a transaction."""


_IN_TRANSACTION = (*_OF_KEYS, *_OF_RQ, *_OF_NO_KEY)
COMMANDS = frozenset(command[0].lower() for command in (*_IN_TRANSACTION, *_BY_THEMSELVES, ("DISCARD",)))


def missing(client: Redis, prefix: str) -> list[str]:
    """The rights that this user lacks, as an ACL writes them. Raises one of ``connection.UNAVAILABLE``.

    The commands are queued in a transaction that is then discarded: the server checks the rights of this user when it
    queues a command, on every version with ACLs. ``ACL DRYRUN`` would need an admin right.
    """
    return call_redis(None, client.connection_pool, lambda: _missing(client, prefix))


def _missing(client: Redis, prefix: str) -> list[str]:
    connection = client.connection_pool.get_connection()
    try:
        if lacking := _refused(connection, ("MULTI",)):
            return [lacking]
        try:
            found = [_refused(connection, command) for command in _filled(_IN_TRANSACTION, prefix)]
        finally:
            found_end = _refused(connection, ("DISCARD",))
        found += [found_end, *(_refused(connection, command) for command in _filled(_BY_THEMSELVES, prefix))]
        return list(dict.fromkeys(each for each in found if each))
    finally:
        # Its state is unknown, so it is not used again.
        connection.disconnect()  # type: ignore[no-untyped-call]
        client.connection_pool.release(connection)


def _filled(commands: Iterable[tuple[str, ...]], prefix: str) -> Iterator[tuple[str, ...]]:
    for command in commands:
        yield tuple(prefix + "probe" if part is _KEY else part for part in command)


def _refused(connection: Any, command: tuple[str, ...]) -> str:
    """The right that this command lacks, or an empty string. Other errors, such as a full server, are ignored."""
    connection.send_command(*command)
    try:
        connection.read_response()
    except ResponseError as error:
        # EXEC answers EXECABORT, which quotes NOPERM.
        if isinstance(error, NoPermissionError) or "NOPERM" in str(error):
            return _right(command, str(error))
    return ""


def _right(command: tuple[str, ...], answer: str) -> str:
    name = command[0].lower()
    if "channel" in answer:
        return f"&{RQ_CHANNELS} (the channels of RQ)"
    if " key" in answer:
        if any(part.startswith("rq:") for part in command):
            return f"~{RQ_KEYS} (the keys of RQ)"
        ours = next(part for part in command[1:] if part.endswith("probe"))
        return f"~{ours.removesuffix('probe')}* (our keys)"
    return f"+{name}|{command[1].lower()}" if name in _CONTAINERS else f"+{name}"


_CONTAINERS = {"client", "script", "xgroup", "xinfo"}


def unchecked(client: Redis) -> list[str]:
    """The rights of ``DANGEROUS`` that this user lacks; doctor then checks less."""
    lacking = []
    for command in (("INFO", "server"), ("CONFIG GET", "appendfsync")):
        try:
            client.execute_command(*command)  # type: ignore[no-untyped-call]
        except MayNotAsk:
            lacking.append(" ".join(command[:-1]))
        except RedisError:
            pass
    return lacking
