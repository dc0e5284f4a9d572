"""The catalogue of methods and their chains, the papers' formulas against numpy, and the loop that trains."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trained_here
from ruamel.yaml import YAML
from trained_here import close, seed, trained  # noqa: F401  (`seed` is named as a method below)

from tasks import methods
from tasks.methods import Method, Range, chain


def entropy(weight=0.1) -> Method:
    """A user's own method: confident outputs cost.

    Args:
        weight: factor of the term.
    """

    def penalty(view, _):
        log_p = view.logits.log_softmax(1)
        return weight * (log_p.exp() * log_p).sum(1).mean()

    return Method(penalty=penalty)


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


# The catalogue and its chains


def test_the_catalogue_has_a_line_on_each():
    assert list(methods.known()) == list(methods.NAMES)
    assert all(len(line) > 20 for line in methods.known().values())
    assert all(setting.doc for setting in methods.settings().values())


@pytest.mark.parametrize("name", methods.NAMES)
def test_a_chain_of_one_is_itself(name):
    method = methods.build(name, {})
    assert chain(method) is method


def test_the_empty_chain_is_plain(source, training):
    assert chain() == Method() == methods.build("plain", {})
    assert methods.canonical([]) == methods.canonical("") == methods.canonical("plain") == "plain"


def test_penalties_in_any_order_have_one_name():
    names = ["test_tasks_methods:entropy", "l2sp", "selective_distillation"]
    assert {methods.canonical(order) for order in itertools.permutations(names)} == {
        "+".join(sorted(names))
    }


def test_chains_nest(source, training):
    a, b, c = methods.find("l2sp")(), methods.find("selective_distillation")(), entropy()
    nested, flat = chain(chain(a, b), c), chain(a, b, c)
    assert close(
        trained(nested, source, training)[0],
        trained(flat, source, training)[0],
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_chain_with_plain_is_the_other():
    assert methods.canonical("plain+l2sp") == methods.canonical(["l2sp"]) == "l2sp"
    assert methods.canonical("wise_ft+l2sp") == "l2sp+wise_ft"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("source+l2sp", "'source' does not train, so l2sp would change nothing"),
        ("linear_probe+frozen_classifier", "freeze the whole model"),
        ("l2sp+l2sp", "is listed 2 times"),
        ("l2ps", "did you mean 'l2sp'"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("test_tasks_methods:seed", "must return a tasks.methods.Method"),
    ],
)
def test_what_cannot_be_a_chain_is_said(names, said):
    assert any(said in text for text in methods.problems(methods.canonical(names)))


@pytest.mark.parametrize("name", [name for name in methods.NAMES if methods.parameters(name)])
def test_its_search_space_fits_its_parameters(name):
    path = Path(__file__).parents[1] / "search_spaces" / f"{name}.yaml"
    space = YAML(typ="safe").load(path.read_text())
    declared = {key.partition(".")[2]: setting for key, setting in methods.parameters(name).items()}
    later = {key.partition(".")[2] for key in methods.later_keys(name)}
    # A parameter that came later is in no default space: the points of older studies stay.
    assert space.keys() == declared.keys() - later
    for parameter, dimension in space.items():
        setting = declared[parameter]
        values = [dimension[end] for end in ("low", "high", "default") if end in dimension]
        values += dimension.get("grid", []) + dimension.get("choices", [])
        assert dimension["default"] == setting.default
        assert all(
            isinstance(value, (setting.type, int) if setting.type is float else setting.type)
            for value in values
        )
        assert all(setting.choices is None or value in setting.choices for value in values)
        assert all(setting.low is None or setting.low <= value <= setting.high for value in values)
        assert "low" not in dimension or dimension.get("integer", False) == (setting.type is int)
        assert "grid" in dimension or "choices" in dimension
        assert "low" not in dimension or all(
            dimension["low"] <= value <= dimension["high"] for value in values
        )
    assert path.read_text().startswith("# ")


def test_a_parameters_range_is_read_from_its_annotation():
    setting = methods.parameters("wise_ft")["wise_ft.alpha"]
    assert (setting.type, setting.default, setting.low, setting.high) == (float, 0.5, 0, 1)
    assert setting.doc == "share of the model that `of` names."
    assert Range(0, 1) == Range(0, 1)


def test_naming_methods_imports_no_torch():
    code = (
        "import sys, tasks.methods as m; m.known(); m.settings(); "
        "m.problems(m.canonical('lolsgd+wise_ft'))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
