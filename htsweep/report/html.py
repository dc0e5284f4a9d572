"""Templates to HTML, the only use of Jinja2; text given to a template is escaped."""

from __future__ import annotations

import functools
import html
import math
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from htsweep.report.table import fitting

ROWS = 2000
"""How many rows a table shows at most: more take long to open; the rest is in the CSV."""


Html = Markup
"""Text that is already HTML or a script, and is not escaped."""


def render(template: str, **given: Any) -> str:
    """A file of `htsweep/report/templates` with `given` filled in; all but `Html` is escaped."""
    return _environment().get_template(template).render(given)


def code(text: str) -> Html:
    """Text as HTML, with what is between backticks as code."""
    return Html(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def inline(markdown: str) -> Html:
    """A caption as HTML: `code`, **bold**, and text that `typeset.plain` escaped."""
    shown = str(code(html.unescape(markdown)))
    shown = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", shown)
    return Html(re.sub(r"\\([\\`*|\[\]_])", r"\1", shown))


def blocks(markdown: str) -> list[tuple[bool, list[str]]]:
    """The paragraphs of `markdown`: whether each is a list, and its lines.

    Of Markdown's syntax, only lists with `- ` are recognised.
    """
    made = []
    for block in markdown.strip().split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            made.append((True, [line[2:] for line in lines]))
        elif lines:
            made.append((False, lines))
    return made


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("htsweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(zip=zip, isfinite=math.isfinite)
    made.filters["fitting"] = functools.partial(fitting, most=ROWS)
    made.filters.update(code=code, inline=inline, blocks=blocks)
    return made
