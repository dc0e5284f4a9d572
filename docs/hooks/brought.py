"""Brings pages that lie elsewhere in the repository into the site, with links that lead there.

A page of the site may also show sections of the README, so that nothing is written twice:
`<!-- README: The study file -->` stands for that section, without its heading.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = "docs"
BROUGHT = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "tasks/README.md": "tasks.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Path in the repository -> path in the site, of pages outside docs/."""
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
SECTION = re.compile(r"<!-- README: (.+?) -->")
START = "Start"
"""The name of what stands in the README between its title and its next heading."""


def in_site(path: str) -> str:
    """Where a file of the repository lies in the site."""
    if path in BROUGHT:
        return BROUGHT[path]
    if path.startswith(f"{DOCS}/"):
        inner = path.removeprefix(f"{DOCS}/")
        return f"{inner}/README.md" if (ROOT / path).is_dir() else inner
    return f"files/{path}"


def in_repository(page: str) -> str:
    """Where a page of the site lies in the repository."""
    back = {site: path for path, site in BROUGHT.items()}
    return back.get(page, f"{DOCS}/{page}")


def targets(path: str, text: str) -> list[str]:
    """The files of the repository that the page at `path` links to."""
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, link)) for link, _ in LINK.findall(text)]


def linked(path: str, text: str, page: str) -> str:
    """The text of the file at `path` with links that lead from `page` to the same places."""

    def led(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
        if not (ROOT / target).exists():
            return match[0]  # a generated page, or a mistake that MkDocs reports
        there = posixpath.relpath(in_site(target), posixpath.dirname(page) or ".")
        return f"]({there}{match[2] or ''})"

    return LINK.sub(led, text)


def sections() -> dict[str, str]:
    """Heading of the README -> its text."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start, *others = re.split(r"^## ", readme, flags=re.MULTILINE)
    found = {START: start.partition("\n")[2]}
    for other in others:
        heading, _, text = other.partition("\n")
        found[heading.strip()] = text
    return found


def on_files(files: Files, config: Any) -> Files:
    """The site's files with the pages of elsewhere, and what pages link to outside docs/."""
    for path, page in BROUGHT.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=linked(path, text, page)))
    outside = set[str]()
    for file in files.documentation_pages():
        path = in_repository(file.src_uri)
        if (ROOT / path).is_file():
            outside |= set(targets(path, (ROOT / path).read_text(encoding="utf-8")))
    for path in sorted(outside):
        site = in_site(path)
        if (ROOT / path).is_file() and files.get_file_from_path(site) is None:
            files.append(File.generated(config, site, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The page's text with the README's sections, and with links that lead to pages of the site."""
    here = page.file.src_uri
    if here in BROUGHT.values():
        return markdown
    known = sections()
    text = linked(in_repository(here), markdown, here)
    return SECTION.sub(lambda match: linked("README.md", known[match[1]], here), text)
