"""The interactive page of points: inert names, and what hovering says."""

from html.parser import HTMLParser
from pathlib import Path

import drawn_points
import pytest
from drawn_points import SCRIPT
from frames import METHODS, digits

from htsweep import selection
from htsweep.analysis import frontier
from htsweep.analysis.design import design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.report import interactive
from htsweep.report.key import key


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_points.drawn(tmp_path_factory)


class Tags(HTMLParser):
    """Collects what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_its_names_inert(drawn: Path) -> None:
    text = (drawn / "frontier.html").read_text(encoding="utf-8")
    parser = Tags()
    parser.feed(text)
    assert not [tag for tag, attributes in parser.tags if "src" in attributes or tag == "link"]
    assert SCRIPT not in text
    assert "alert(1)" in text
    # In the labels, which plotly reads as HTML of a kind, its tags are letters too.
    assert r"\u0026lt;script\u0026gt;alert(1)" in text or "&lt;script&gt;alert(1)" in text
    assert len(text) < 5_500_000


def test_the_page_has_every_method_and_what_hovering_tells() -> None:
    frame = digits()
    found = frontier.frontier(frame, choice=selection.choice(frame), parameters=["l2sp.backbone"])
    cells = design(frame.columns)
    about = Findings("", cells, (SEEN, MISSING), (SEEN, MISSING), "", 1, "", points=found)
    numbers = key(about)
    (panel,) = interactive.panels(found, SEEN, MISSING, numbers, parameters=["l2sp.backbone"])
    traces = {trace["name"]: trace for trace in panel["traces"] if trace.get("hovertext")}
    assert set(traces) == set(METHODS) == {numbers.methods[of["m"]] for of in traces.values()}
    assert traces["l2sp"]["y"] == [35.0]
    assert traces["l2sp"]["hovertext"] == [
        "<b>l2sp</b><br>l2sp.backbone=0.1<br>seen: 98.6 [97.6, 99.6] %<br>missing: 35.0 [34.0, "
        "36.0] %<br>n = 3, step 1<br>"
        "on the front in 100% of bootstrap samples<br>chosen by the protocol",
    ]
    assert "upper bound" in traces["oracle"]["hovertext"][0]
    assert traces["l2sp"]["marker"]["symbol"] == ["square"]
    assert traces["selective_distillation"]["marker"]["symbol"] == ["triangle-right-open"]
