"""A local stand-in for Tencent CI (数据万象) and the little of COS that a media job needs.

Run it with `python -m emulator --host 127.0.0.1 --port 8001 --data DIR`; README.md beside this file has
the options, the control API and what differs from the real thing.

It imports nothing else of this project, on purpose: it implements the published rules separately, so that a
mistake of ours about signatures, XML or job states is refused instead of being made twice.
"""
