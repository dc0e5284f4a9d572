"""A colour for each method, the same in every chart and after every restart; pure.

A built-in method has the colour that it has in reports.
"""

from __future__ import annotations

from collections.abc import Mapping

from htsweep.report.look import built_in

COLOURS = (
    # Okabe and Ito's palette, which colour-blind people can tell apart, without black; then darker
    # shades of it.
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#b8a900",
    "#003f63",
    "#8a5f00",
    "#005c43",
    "#7d3700",
    "#7a3f62",
    "#2b6f94",
    "#6b6200",
)


def with_colour(held: Mapping[str, str], method: str) -> dict[str, str]:
    """`held` with a colour for `method`: its own if it is built in, else a new one if there is."""
    if method in held:
        return dict(held)
    own = built_in("method")
    if method in own:
        return {**held, method: own[method].colour.lower()}
    free = [colour for colour in COLOURS if colour not in held.values()]
    return {**held, method: free[0] if free else COLOURS[len(held) % len(COLOURS)]}
