"""The toy task: what it yields is known in closed form."""

import pytest
from workspace import Workspace, same

from tasks.toy import answer, toy


def rows(root, config=(), repetition=0):
    return list(toy(dict(config), Workspace(root, repetition)))


def test_without_noise_it_yields_its_formula(tmp_path):
    found = rows(tmp_path, {"x": 0.8, "y": 0.25, "steps": 4, "noise": 0.0})
    assert found == [{"step": step, **answer(0.8, 0.25, step / 4)} for step in range(5)]
    assert found[-1]["test/seen_accuracy"] == pytest.approx(0.5 + 0.32 - 0.0625)
    assert set(found[0]) == {"step", *toy.metrics}


def test_seen_rises_and_missing_falls_with_x(tmp_path):
    last = [rows(tmp_path, {"x": x})[-1] for x in (0.0, 0.5, 1.0)]
    assert [row["test/seen_accuracy"] for row in last] == sorted(
        row["test/seen_accuracy"] for row in last
    )
    assert [row["test/missing_accuracy"] for row in last] == sorted(
        (r["test/missing_accuracy"] for r in last), reverse=True
    )


def test_the_score_is_best_where_the_docstring_says(tmp_path):
    def score(place):
        return rows(tmp_path, dict(zip("xy", place, strict=True)))[-1]["validation/score"]

    assert max([(x / 10, y / 10) for x in range(11) for y in range(11)], key=score) == (0.7, 0.5)


def test_the_repetition_makes_the_noise(tmp_path):
    assert same(rows(tmp_path), rows(tmp_path))
    assert not same(rows(tmp_path), rows(tmp_path, repetition=1))


def test_continued_it_yields_what_is_left(tmp_path):
    workspace = Workspace(tmp_path)
    generator = toy({"steps": 5}, workspace)
    first = [next(generator) for _ in range(3)]
    generator.close()
    after = list(toy({"steps": 5}, workspace))
    whole = rows(tmp_path / "whole", {"steps": 5})
    assert same(first[: after[0]["step"]] + after, whole)


@pytest.mark.parametrize(("how", "error"), [("raise", RuntimeError), ("memory", MemoryError)])
def test_it_fails_at_step_one_as_asked(tmp_path, how, error):
    generator = toy({"fail": how}, Workspace(tmp_path))
    assert next(generator)["step"] == 0
    with pytest.raises(error):
        next(generator)


def test_it_diverges_as_asked(tmp_path):
    assert (
        rows(tmp_path, {"fail": "nan"})[1]["validation/score"]
        != rows(tmp_path, {"fail": "nan"})[1]["validation/score"]
    )
