"""The palette, and the look of methods: one each, in reports, pictures and MLflow."""

import re

import pandas as pd

from htsweep.mirror.colours import with_colour
from htsweep.report.look import COLOURS, ROLES, built_in, looks
from tasks import methods


def test_the_palette_is_hexadecimal() -> None:
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS)
    assert len(set(COLOURS)) == len(COLOURS)


def table(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"method": names, "role": ""})


def test_every_built_in_method_has_a_look_of_its_own() -> None:
    own = built_in("method")
    assert set(own) == set(methods.NAMES)
    competing = [look for look in own.values() if look not in ROLES.values()]
    assert len({(look.colour, look.marker) for look in competing}) == len(competing) > 30
    assert own["source"] == ROLES["source"]
    assert own["oracle"] == ROLES["bound"]
    compared = ("plain", "l2sp", "wise_ft", "lolsgd", "frozen_classifier", "selective_distillation")
    assert len({own[name].colour for name in compared}) == len(compared)


def test_a_built_in_method_looks_the_same_in_every_study_and_in_mlflow() -> None:
    own = built_in("method")
    for names in (("l2sp", "plain"), ("mine:a", "lolsgd+wise_ft", "l2sp"), ("ewc", "b", "l2sp")):
        assert looks(table(*names), "method")["l2sp"] == own["l2sp"]
    for held in ({}, {"mine:a": own["l2sp"].colour.lower()}):
        assert with_colour(held, "l2sp")["l2sp"].upper() == own["l2sp"].colour
    # What a mirror has once given it keeps.
    assert with_colour({"l2sp": "#123456"}, "l2sp") == {"l2sp": "#123456"}


def test_other_names_have_looks_whatever_the_order_of_rows() -> None:
    names = ["plain", "l2sp", *(f"mine:{letter}" for letter in "abcdefgh"), "l2sp+wise_ft"]
    found = looks(table(*names), "method")
    assert found == looks(table(*reversed(names)), "method")
    assert len({(look.colour, look.marker) for look in found.values()}) == len(names)
    assert len({look.colour for look in found.values()}) == len(COLOURS)
