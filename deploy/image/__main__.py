"""``python -m deploy.image FOLDER``: build the image's root in FOLDER, then start each role in it.

Needs root, debootstrap and Debian's archive. The base is made by debootstrap once and kept in FOLDER/base.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.image.build import build_image
from deploy.image.rehearse import rehearse

ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """0: built, and every role was healthy in it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the stages go; about 1 GB")
    parser.add_argument("--redis-url", help="start web, worker and relay against this Redis, too")
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as TRACES=yes"
    )
    options = parser.parse_args(arguments)
    given = dict(each.split("=", 1) for each in options.build_arg)
    image = build_image(ROOT, options.folder.resolve(), given)
    sys.stdout.write(
        f"{image.size_bytes / 1e6:.0f} MB, {image.added_bytes / 1e6:.0f} of them added to the base\n"
    )
    if options.redis_url is None:
        return 0
    lines = rehearse(image, options.redis_url)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
