"""The documentation site builds without a warning, is complete, and asks no other host for anything."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import htsweep
from htsweep.cli.listing import KINDS
from htsweep.planning import task

ROOT = Path(__file__).parent.parent
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("link", "href"),
    ("use", "href"),
    ("image", "href"),
}
"""What a browser fetches by itself; a link (`a`) it only follows when it is clicked."""
NOT_FETCHED = {"canonical", "prev", "next", "author", "license"}
"""The kinds of `link` that name a page and fetch nothing."""
ELSEWHERE = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])\s*((?:https?:)?//[^'")]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a broken link or anchor, or a page outside the menu, fails."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


class Sources(HTMLParser):
    """What a page fetches: of elements, and of styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._style = tag == "style"
        self.found += ELSEWHERE.findall(given.get("style", ""))
        if tag == "link" and given.get("rel") in NOT_FETCHED:
            return
        self.found += [value for name, value in given.items() if (tag, name) in FETCHED]

    def handle_data(self, data: str) -> None:
        if self._style:
            self.found += ELSEWHERE.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"


def fetched(html: str) -> list[str]:
    """What a page fetches from other hosts."""
    parser = Sources()
    parser.feed(html)
    return [source for source in parser.found if re.match(r"\s*(https?:)?//", source)]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="preconnect" href="https://fonts.gstatic.com" crossorigin>',
        '<link rel="stylesheet" href="//fonts.googleapis.com/css">',
        '<img alt="" src="http://example.org/badge.svg">',
        "<style>@font-face {src: url(https://example.org/a.woff2)}</style>",
        '<p style="background: url(//example.org/a.png)">',
    ],
)
def test_what_is_fetched_from_elsewhere_is_noticed(html: str) -> None:
    assert len(fetched(html)) == 1


def test_a_link_fetches_nothing() -> None:
    assert fetched('<a href="https://example.org">there</a><img src="a.png">') == []


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    found = {str(page.relative_to(site)): fetched(page.read_text("utf-8")) for page in pages}
    assert {page: sources for page, sources in found.items() if sources} == {}
    # Material's script fetches Mermaid and a repository's stars where a page asks for them.
    for page in pages:
        text = page.read_text("utf-8")
        assert 'class="mermaid"' not in text
        assert 'data-md-component="source"' not in text


def test_no_style_fetches_anything_from_elsewhere(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    for style in styles:
        assert ELSEWHERE.findall(style.read_text("utf-8")) == [], style


@pytest.mark.browser
@pytest.mark.parametrize("page", ["index.html", "reference/methods.html", "tutorial/digits.html"])
def test_a_browser_asks_no_other_host(site: Path, page: str) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium is not None, "no Chromium: `apt-get install chromium`"
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto((site / page).as_uri())
        shown.wait_for_load_state("networkidle")
        heading = shown.locator("h1").first.inner_text()
        browser.close()
    assert heading
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.browser
def test_the_search_works_from_this_host_alone(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium is not None, "no Chromium: `apt-get install chromium`"
    asked: list[str] = []
    with served(site) as address, sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(f"{address}/index.html")
        shown.locator("input.md-search__input").click()
        shown.keyboard.type("l2sp")
        shown.locator(".md-search-result__item a").first.wait_for(timeout=60_000)
        found = shown.locator(".md-search-result__list").inner_text()
        browser.close()
    assert "l2sp" in found.lower()
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))] == []


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of a folder can be had."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without a line for each."""

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


def text_of(site: Path, page: str) -> str:
    return (site / page).read_text("utf-8")


def section(text: str, anchor: str, level: int = 2) -> str:
    """The part of a page from a heading to the next one of its level."""
    start = text.index(f'<h{level} id="{anchor}"')
    return text[start:].partition(f"</h{level}>")[2].partition(f"<h{level} ")[0]


@pytest.mark.parametrize("kind", ["methods", "scores", "protocols", "metrics"])
def test_the_reference_has_every_name(site: Path, kind: str) -> None:
    text = text_of(site, f"reference/{kind}.html")
    for name in KINDS[kind].entries():
        assert f"<code>{name}</code>" in text, name


def test_the_reference_has_every_other_name(site: Path) -> None:
    text = text_of(site, "reference/names.html")
    for kind in KINDS:
        if not (site / "reference" / f"{kind}.html").exists():
            for name in KINDS[kind].entries():
                assert f"<code>{name}</code>" in text, f"{kind}: {name}"


def test_the_reference_has_every_setting_with_its_default(site: Path) -> None:
    text = text_of(site, "reference/settings.html")
    for name in task.known():
        part = section(text, name.replace("_", "-"))
        for key, setting in (task.find(name).settings or {}).items():
            if "." not in key:
                [row] = re.findall(rf"<tr>\s*<td><code>{key}</code></td>.*?</tr>", part, re.DOTALL)
                if isinstance(setting.default, int | float) and setting.type is not bool:
                    assert f"<td><code>{setting.default}</code></td>" in row, row


def test_the_reference_has_every_command_with_its_options(site: Path) -> None:
    from test_cli_help import COMMANDS

    text = text_of(site, "reference/commands.html")
    for name, command in COMMANDS.items():
        part = section(text, name.replace(" ", "-"))
        for one in command.params:
            word = one.metavar if one.param_type_name == "argument" else one.opts[0]
            assert f"<code>{word}" in part, (name, word)


def test_the_reference_has_every_verb_of_python(site: Path) -> None:
    text = text_of(site, "reference/python.html")
    for name in htsweep.__all__:
        found = section(text, f"htsweep.{name}", level=3)
        summary = (getattr(htsweep, name).__doc__ or "").strip().splitlines()[0]
        said = " ".join(unescape(re.sub(r"<[^>]+>", "", found)).split())
        assert said.startswith(f"{name}("), "its signature"
        assert " ".join(summary.replace("`", "").split()) in said


def test_what_is_included_is_there(site: Path) -> None:
    assert "Tuned alike, no method is shown" in text_of(site, "index.html")
    assert "share_trainings" in text_of(site, "reference/study_file.html")
    assert "Pereyra et al." in text_of(site, "tutorial/method.html")
    for page in site.rglob("*.html"):
        assert not re.search("<!-- README:|--8", page.read_text("utf-8")), page


def test_every_generated_text_is_as_it_was_printed(site: Path) -> None:
    """Formulas have characters that Markdown would take for its own."""
    text = re.sub(r"<[^>]+>", "", text_of(site, "reference/methods.html"))
    line = KINDS["methods"].entries()["l2sp"]
    assert line in unescape(text)


def test_the_citation_is_of_this_version() -> None:
    from importlib.metadata import version

    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == version("htsweep")
    assert {"message", "title", "authors"} <= set(found)
