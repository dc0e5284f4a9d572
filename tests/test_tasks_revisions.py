"""Which trials have other ids, since a mended fault changed their numbers."""

import itertools

import pytest

from htsweep.planning.jobs import point_id
from htsweep.planning.task import find
from tasks import methods, revisions

TASKS = [find("holistic_transfer"), find("fine_tuning")]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_keys_copied_before_lora_s_draw_have_other_ids(task) -> None:
    config = task.resolve({"method": "bi_tuning+lora"})
    assert task.meaning(config)["revisions"] == ["keys are copied after what trains is drawn"]
    # The id that the program gave before, to what it computed before.
    before = {key: value for key, value in task.meaning(config).items() if key != "revisions"}
    assert point_id(task, config) != point_id(_Meaning(task.name, before), {})


def test_no_other_pair_of_methods_has_another_meaning() -> None:
    found = {
        pair
        for pair in itertools.combinations(sorted(methods.NAMES), 2)
        if revisions.meaning({"method": "+".join(pair)})
    }
    assert found == {("bi_tuning", "lora")}
    assert not any(revisions.meaning({"method": name}) for name in methods.NAMES)
    assert revisions.meaning({"method": "at+bi_tuning+lora+swa"})


class _Meaning:
    """A task whose configs mean what is given."""

    def __init__(self, name, meant) -> None:
        self.name, self.meaning = name, lambda _: meant
