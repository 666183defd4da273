"""Builds the docs as a site with search, which needs no internet: ``make site``.

The pages stay Markdown that reads well in the repository. They are copied to ``build/pages`` first, with those beside
``docs/`` that they link to; a link to code is shown as its path. A page that leads nowhere fails the build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "pages"
CONFIG = ROOT / "docs" / "zensical.toml"

BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "client/README.md": "client.md",
    "app/store/KEYS.md": "keys.md",
}
"""Pages that stand elsewhere in the repository, and their names on the site."""

_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")

_PICTURE = re.compile(r'\b(src|srcset)="(?!https?:)([^"]+)"')


class BadLink(ValueError):
    """A page links to something that is not there."""


def sources() -> dict[Path, str]:
    """Each page, and its name on the site."""
    ours = {ROOT / file: name for file, name in BESIDE.items()}
    return ours | {
        page: str(page.relative_to(ROOT / "docs")) for page in sorted((ROOT / "docs").rglob("*.md"))
    }


def assemble(folder: Path) -> None:
    """Copy every page to a folder. Raises ``BadLink``."""
    shutil.rmtree(folder, ignore_errors=True)
    names = sources()
    for page, name in names.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_linked(page, name, names))
    for picture in (each for kind in ("png", "svg") for each in (ROOT / "docs").rglob(f"*.{kind}")):
        place = folder / picture.relative_to(ROOT / "docs")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place)


def _linked(page: Path, name: str, names: dict[Path, str]) -> str:
    """The text of a page with links as they are on the site."""
    here = Path(name).parent

    def link(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if not target.exists():
            raise BadLink(f"{page.relative_to(ROOT)} links to {found[2]}, which is not there")
        if target in names:
            return f"[{found[1]}]({os.path.relpath(names[target], here)}{found[3] or ''})"
        if target.suffix in {".png", ".svg"} and target.is_relative_to(ROOT / "docs"):
            return f"[{found[1]}]({os.path.relpath(target.relative_to(ROOT / 'docs'), here)})"
        said = found[1].strip("`")
        path = str(target.relative_to(ROOT))
        return f"`{said}`" if said in path else f"{found[1]} (`{path}`)"

    def picture(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if not target.exists():
            raise BadLink(f"{page.relative_to(ROOT)} shows {found[2]}, which is not there")
        return f'{found[1]}="{os.path.relpath(target.relative_to(ROOT / "docs"), here)}"'

    return _PICTURE.sub(picture, _LINK.sub(link, page.read_text()))


def navigation(config: str, names: list[str]) -> str:
    """The configuration with each pattern replaced by the pages that no line names."""
    for pattern in ("how-to/*", "*"):
        rest = [name for name in names if f'"{name}"' not in config and fnmatch(name, pattern)]
        config = config.replace(f'"{pattern}"', ", ".join(f'"{name}"' for name in rest))
    return config


def lost(site: Path) -> Iterator[str]:
    """Links of a built site that lead to no file, or to no place in it."""
    pages = {page: page.read_text() for page in site.rglob("*.html")}
    places = {page: set(re.findall(r"\sid=\"([^\"]+)\"", text)) for page, text in pages.items()}
    for page, text in pages.items():
        body = text[text.find("<article") : text.rfind("</article>")]
        for path, _, place in (href.partition("#") for href in re.findall(r"href=\"([^\"]+)\"", body)):
            if re.match(r"[a-z]+:", path):
                continue
            target = (page.parent / path).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (place and target in places and place not in places[target]):
                yield f"{page.relative_to(site)} links to {path}#{place}"


def build() -> Path:
    """The folder of the site. Raises ``BadLink``, or ``CalledProcessError`` where the generator fails."""
    assemble(PAGES)
    config = ROOT / "build" / "zensical.toml"
    config.write_text(navigation(CONFIG.read_text(), sorted(sources().values())))
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    subprocess.run(command, cwd=config.parent, check=True)  # noqa: S603 - the generator of requirements-site.txt
    site = config.parent / "site"
    if wrong := sorted(lost(site)):
        raise BadLink("\n".join(wrong))
    return site


if __name__ == "__main__":
    try:
        site = build()
        sys.stdout.write(f"To read it: {sys.executable} -m http.server --bind 127.0.0.1 --directory {site}\n")
    except BadLink as error:
        sys.exit(f"Correct these links:\n{error}")
