"""A COS that has every object, and answers HEAD in 50 ms: ``python -m bench.peers.cos PORT``."""

from __future__ import annotations

import asyncio
import hashlib
import sys

_DELAY_S = 0.05


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection. The ETag is the MD5 that `bench.payloads` reports: that of the object's name."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            name = head.split(b" ", 2)[1].partition(b"?")[0].lstrip(b"/")
            await asyncio.sleep(_DELAY_S)
            etag = hashlib.md5(name).hexdigest()  # noqa: S324
            length = 100 if head.startswith(b"HEAD") else 0
            writer.write(f'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: "{etag}"\r\n\r\n'.encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
