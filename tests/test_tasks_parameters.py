"""What a function's parameters say about themselves becomes the settings of a study."""

from __future__ import annotations

import inspect

from tasks.parameters import Choices, Range, settings_of


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
