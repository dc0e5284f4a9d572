"""What a function's parameters say about themselves becomes the settings of a study."""

from __future__ import annotations

import inspect

from tasks.parameters import Choices, NewHead, Range, settings_of


def measure(rate: float = 0.5, kind: str = "a", count: int = 3) -> None:
    """Measures.

    Args:
        rate: how fast, in steps
            an hour, of what is left.
        kind: a or b.
        count: how many

    Returns:
        nothing: at all.
    """


def test_an_entry_of_several_lines_is_the_doc_as_a_whole() -> None:
    marks = {"rate": (Range(0, 1),), "kind": (Choices(("a", "b")),), "count": ()}
    kinds = {"rate": float, "kind": str, "count": int}
    parameters = inspect.signature(measure).parameters
    settings = settings_of(
        measure, "m", [(parameters[name], kinds[name], marks[name]) for name in parameters]
    )
    assert {key: setting.doc for key, setting in settings.items()} == {
        "m.rate": "how fast, in steps an hour, of what is left.",
        "m.kind": "a or b.",
        "m.count": "how many",
    }
    assert (settings["m.rate"].low, settings["m.rate"].high) == (0, 1)
    assert settings["m.kind"].choices == ("a", "b")
    assert (settings["m.rate"].default, settings["m.count"].type) == (0.5, int)


def test_no_doc_of_a_method_ends_in_the_middle_of_a_sentence() -> None:
    from tasks import methods

    for key, setting in methods.settings().items():
        assert setting.doc, key
        assert setting.doc[-1] not in ",;:(-", (key, setting.doc)


def test_a_default_may_be_another_under_a_new_head() -> None:
    parameters = inspect.signature(measure).parameters
    marked = [(parameters["rate"], float, (Range(0, 1), NewHead(0.25)))]
    assert settings_of(measure, "m", marked)["m.rate"].default == 0.5
    assert settings_of(measure, "m", marked, new_head=True)["m.rate"].default == 0.25


def test_constants_of_the_papers_where_the_head_is_new() -> None:
    """L2-SP: 0.1 and 0.01, its baseline L2: 1e-4 and 1e-3, DELTA, and TRED after it: 0.01."""
    from tasks import fine_tuning, holistic_transfer

    wanted = {"l2sp.head": 0.01, "l2.head": 1e-3, "delta.head": 0.01, "tred.head": 0.01}
    for name in ("l2sp", "l2", "delta", "tred"):
        config = fine_tuning.resolve({"method": name})
        assert config[f"{name}.head"] == wanted[f"{name}.head"]
    # What is named stays, with its id.
    assert fine_tuning.resolve({"method": "l2sp", "l2sp.head": 0.1})["l2sp.head"] == 0.1
    kept = {name: holistic_transfer.resolve({"method": name}) for name in ("l2sp", "l2")}
    assert (kept["l2sp"]["l2sp.head"], kept["l2"]["l2.head"]) == (0.1, 1e-4)
