"""What a page brings along so that it needs no network: plotly.js packed, data that no name can break out of."""

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
"""A page's Content-Security-Policy: whatever is in it, nothing is fetched and nothing is sent."""


def asset(name: str) -> str:
    """A file of `htsweep/report/assets` as text."""
    return (resources.files("htsweep.report") / "assets" / name).read_text(encoding="utf-8")


def scripts(*files: str) -> Html:
    """Files of `htsweep/report/assets` as the one script of a page."""
    return Html("\n".join(["'use strict';", *map(asset, files)]))


def plotly() -> Html:
    """Script elements after which `window.plotly` is a promise of plotly.js; its 4.8 MB weigh 2 MB.

    It is unpacked by the browser's own DecompressionStream; where there is none, the promise is
    rejected.
    """
    return Html(
        f'<script type="text/plain" id="plotly-packed">{_packed()}</script>\n'
        f"<script>\n{asset('unpack.js')}</script>"
    )


def data(ident: str, value: Any) -> Html:
    """A script element with `value` as JSON, NaN as null; no text in it can end the element, or begin another."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(f'<script type="application/json" id="{ident}">{text}</script>')


@functools.cache
def _packed() -> str:
    from plotly.offline import get_plotlyjs

    # Without the time of packing, the same study gives the same file.
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
