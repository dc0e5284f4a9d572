"""What a page embeds so that it needs no network: packed plotly.js, scripts, and escaped data."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import math
from importlib import resources
from typing import Any

from htsweep.report.html import Html

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: "
    "blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""A page's Content-Security-Policy: whatever the page contains, it can neither fetch nor send."""


def asset(name: str) -> str:
    """A file of `htsweep/report/assets` as text."""
    return (resources.files("htsweep.report") / "assets" / name).read_text(encoding="utf-8")


def scripts(*files: str) -> Html:
    """Files of `htsweep/report/assets`, joined into a page's single script."""
    return Html("\n".join(["'use strict';", *(lean(asset(file)) for file in files)]))


def lean(source: str) -> str:
    """The script or style without its indentation, empty lines and lines of comments alone.

    No text in it may go over several lines.
    """
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def plotly() -> Html:
    """Script elements that make `window.plotly` a promise of plotly.js, packed from 4.8 MB to 2 MB.

    The browser's own DecompressionStream unpacks it; without one, the promise is rejected.
    """
    return Html(
        f'<script type="text/plain" id="plotly-packed">{_packed()}</script>\n'
        f"<script>\n{lean(asset('unpack.js'))}\n</script>"
    )


def data(ident: str, value: Any) -> Html:
    """A script element with `value` as JSON, NaN as null.

    It is escaped, so that no text in it can end the element or begin another.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(f'<script type="application/json" id="{ident}">{text}</script>')


@functools.cache
def _packed() -> str:
    from plotly.offline import get_plotlyjs

    # Without a time stamp, so that the same study gives the same file.
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
