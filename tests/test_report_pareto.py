"""The frontier's files: that the methods and their numbers are in them, and that names stay inert."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import drawn_points
import numpy as np
import pandas as pd
import pytest
from drawn_points import SCRIPT
from frames import METHODS, digits, measured, trials_of

from htsweep.analysis import frontier
from htsweep.analysis.design import design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.errors import HtsweepError
from htsweep.files import put
from htsweep.report import interactive, static, stretch
from htsweep.report.key import key
from htsweep.report.look import looks
from htsweep.report.pareto import columns, pareto


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_points.drawn(tmp_path_factory)


def test_the_csv_has_every_point(drawn: Path) -> None:
    found = pd.read_csv(drawn / "frontier.csv").set_index(["dataset", "method"])
    assert len(found) == 14
    assert found.loc[("uci-mnist", "l2sp"), SEEN] == pytest.approx(0.986)
    assert (
        found.loc[("uci-mnist", "l2sp"), f"{MISSING} low"]
        < 0.35
        < found.loc[("uci-mnist", "l2sp"), f"{MISSING} high"]
    )
    assert bool(found.loc[("uci-mnist", "plain"), "front"])


def test_the_svg_has_every_method_as_text(drawn: Path) -> None:
    root = ElementTree.parse(drawn / "frontier.svg").getroot()
    texts = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {
        "source (source model)",
        "plain",
        "l2sp",
        "selective_distillation",
        "oracle (upper bound)",
        SCRIPT,
        "$a_b$",
        "mnist-uci",
        "uci-mnist",
        "accuracy on seen classes (%)",
        "accuracy on missing classes (%)",
    } <= texts
    assert any("50 % missing, lenet_bn" in text for text in texts)


def test_the_pdf_embeds_its_fonts(drawn: Path) -> None:
    data = (drawn / "frontier.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert b"/FontFile2" in data
    assert b"/Type3" not in data


def test_the_png_has_the_size_of_print(drawn: Path) -> None:
    data = (drawn / "frontier.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") > 1000


def panel_of(points: pd.DataFrame) -> dict[str, Any]:
    """The only panel of the page of these points."""
    cells = design(points.columns)
    found = Findings("", cells, (SEEN, MISSING), (SEEN, MISSING), "", 1, "", points=points)
    (panel,) = interactive.panels(points, SEEN, MISSING, key(found))
    return panel


def test_what_the_protocol_chose_is_ringed_where_there_is_more() -> None:
    frame = digits()
    found = frontier.frontier(frame)
    cells = design(frame.columns)
    every = found.assign(chosen=True)
    some = found.assign(chosen=found["method"].isin(["plain", "l2sp"]))
    rings = [
        [trace for trace in panel_of(points)["traces"] if trace["name"] == interactive.RING]
        for points in (every, some)
    ]
    assert rings[0] == []
    # A trace per method, so that a ring goes with its point.
    assert [len(ring["y"]) for ring in rings[1]] == [1, 1]
    assert sorted(ring["y"][0] for ring in rings[1]) == pytest.approx(
        sorted(100 * some[some["chosen"]][MISSING])
    )
    svg = {
        label: static.render(points, SEEN, MISSING, cells)["svg"].decode()
        for label, points in (("every", every), ("some", some))
    }
    assert "ringed: chosen by the protocol" in svg["some"]
    assert "ringed" not in svg["every"]


def test_bars_reach_from_the_mean_to_both_ends() -> None:
    frame = digits()
    found = frontier.frontier(frame)
    trace = next(trace for trace in panel_of(found)["traces"] if trace["name"] == "l2sp")
    row = found.set_index("method").loc["l2sp"]
    ends = stretch.inverse(
        trace["x"][0]
        + np.array([-1, 1]) * [trace["error_x"][end][0] for end in ("arrayminus", "array")]
    )
    assert ends == pytest.approx([100 * row[f"{SEEN} low"], 100 * row[f"{SEEN} high"]])


def test_the_printed_figure_draws_the_numbers_of_the_table() -> None:
    frame = digits(datasets=("mnist-uci", "uci-mnist"))
    found = frontier.frontier(frame)
    figure = static.draw(found, SEEN, MISSING, design(frame.columns))
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == ["mnist-uci", "uci-mnist"]
    front, *markers = panels[0].lines
    shown = {
        (round(float(x), 6), round(float(y), 6))
        for line in markers
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert shown == {
        (round(100 * seen, 6), round(100 * missing, 6)) for seen, missing in METHODS.values()
    }
    along, up = np.asarray(front.get_xdata()), np.asarray(front.get_ydata())
    assert along[1:].tolist() == pytest.approx([60, 60, 98.6, 98.6, 99.4, 99.4])
    assert up[:-1].tolist() == pytest.approx([60, 60, 35, 35, 2, 2])
    assert panels[0].get_xlim()[1] == panels[0].get_ylim()[1] == 100
    assert not any(line.get_clip_on() for line in markers)
    # Open markers are dominated, or out of competition.
    filled = {line.get_marker(): line.get_markerfacecolor() != "white" for line in markers}
    assert filled == {"*": True, "o": True, "s": True, ">": False, "d": False}


def test_drawing_leaves_the_settings_of_others_alone_and_is_reproducible() -> None:
    import matplotlib

    pyplot = "matplotlib.pyplot" in sys.modules  # another test's doing
    frame = digits()
    found = frontier.frontier(frame)
    # Looking at `backend` would make matplotlib choose one.
    before = {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
    one = static.render(found, SEEN, MISSING, design(frame.columns))
    assert {name: matplotlib.rcParams[name] for name in before} == before
    assert "matplotlib.pyplot" not in sys.modules or pyplot
    assert static.render(found, SEEN, MISSING, design(frame.columns)) == one


def test_methods_look_different_and_alike_in_every_figure() -> None:
    table = pd.DataFrame(
        {
            "method": ["oracle", *(f"m{k}" for k in range(80)), "source"],
            "role": ["bound", *[""] * 80, "source"],
        }
    )
    found = looks(table, "method")
    assert next(iter(found)) == "source"
    assert list(found)[-1] == "oracle"
    assert len({(look.colour, look.marker) for look in found.values()}) == 82
    few = looks(table.iloc[[*range(1, 13), 81]], "method")
    assert len({look.marker for look in few.values()}) == len(few) == 13


def test_more_groups_than_a_figure_holds_are_counted() -> None:
    datasets = [f"d{k:02}" for k in range(static.PANELS + 1)]
    frame = digits({"a": (0.9, 0.1), "b": (0.1, 0.9)}, datasets=datasets, repetitions=2)
    found = frontier.frontier(frame)
    figure = static.draw(found, SEEN, MISSING, design(frame.columns))
    assert len([panel for panel in figure.axes if panel.get_visible()]) == static.PANELS
    legend = figure.legends[0].get_title().get_text()
    assert f"{static.PANELS} of {static.PANELS + 1} groups are drawn" in legend.replace("\n", " ")


def test_the_smallest_study_is_drawn(tmp_path: Path) -> None:
    frame = digits({"plain": (0.9, 0.1)}, repetitions=1)
    assert len(pareto(trials_of(frame), frame, tmp_path)) == 5


def test_tasks_of_other_kinds_are_drawn_by_the_axes_they_have(tmp_path: Path) -> None:
    table = {("a", 0): [[3.0]] * 2, ("b", 0): [[5.0]] * 2}
    frame = measured(table, "test/loss", test__seconds=table).drop(columns="method")
    paths = pareto(trials_of(frame), frame, tmp_path, maximise=(False, False))
    assert pd.read_csv(paths[-1])[["sweep", "front"]].to_numpy().tolist() == [
        ["a", True],
        ["b", False],
    ]


def test_there_may_be_nothing_to_draw(tmp_path: Path) -> None:
    frame = digits()
    assert pareto(trials_of(frame), frame, tmp_path, repetitions=9) == []
    assert (
        pareto(
            trials_of(frame),
            frame.drop(columns=[n for n in frame if n.startswith("test/")]),
            tmp_path,
        )
        == []
    )
    assert pareto(trials_of(frame).iloc[:0], frame.iloc[:0], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_it_is_enough_to_read_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "render", lambda *_, **__: {})
    monkeypatch.setattr(interactive, "page", lambda *_, **__: "")
    frame = digits()
    few = frame[
        [
            name
            for name in frame.columns
            if "/" not in name or name in (columns("seen_validation") or [])
        ]
    ]
    csv = [
        pareto(
            trials_of(frame), some, tmp_path / str(len(some.columns)), protocol="seen_validation"
        )[-1].read_text()
        for some in (frame, few)
    ]
    assert csv[0] == csv[1]
    assert columns("last", yields=["test/loss"]) is None
    assert columns("last", "a", "b", yields=["a", "b"]) == ["a", "b"]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "new" / "file", "one")
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o400

    def broken(self: Path, target: Path) -> None:
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(HtsweepError, match="cannot be written: full"):
        put(path, "two")
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
