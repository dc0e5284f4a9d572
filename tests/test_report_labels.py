"""`labels` name the values of factors in all of a report; the tables of results keep the values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.report import build, names
from htsweep.results import Results

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden study's report, with names for two values."""
    out = tmp_path_factory.mktemp("report")
    study = read(GOLDEN / "golden.yaml", ["labels={l2sp: L2-SP, a-b: photos}"])
    results = Results(study, str(GOLDEN / "ledger"))
    build.write(results, out)
    build.draw(results, out)
    (out / "told.md").write_text(build.tell(results) + build.answer(results))
    return out


@pytest.mark.parametrize(
    "name", ["report.md", "report.tex", "report.html", "told.md", "frontier.svg"]
)
def test_labels_are_in_every_text(name: str, written: Path) -> None:
    text = (written / name).read_text(encoding="utf-8").partition("## Provenance")[0]
    text = re.sub(r"<script[^>]*plotly-packed.*?</script>", "", text, flags=re.DOTALL)
    assert "L2-SP" in text
    assert "photos" in text
    shown = re.sub(r"l2sp\.\w+", "", text)
    assert "l2sp" not in shown or name in ("report.html",)


def test_the_tables_keep_the_values(written: Path) -> None:
    table = pd.read_csv(written / "summary.csv")
    assert "l2sp" in set(table["method"])
    assert "L2-SP" not in set(table["method"])


def test_labels_end_with_their_block() -> None:
    with names.labelled({"l2sp": "L2-SP"}):
        assert names.value("l2sp") == "L2-SP"
    assert names.value("l2sp") == "l2sp"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("{l2ps: L2-SP}", "no factor of the study has this value; did you mean 'l2sp'?"),
        ("{l2sp: same, plain: same}", "another value is called 'same' too"),
        ("{l2sp: plain}", "another value is called 'plain' too"),
    ],
)
def test_wrong_labels_are_told(labels: str, said: str, study_file: Callable[..., Path]) -> None:
    text = f"task: holistic_transfer\ngrid: {{method: [plain, l2sp]}}\nlabels: {labels}\n"
    with pytest.raises(StudyError) as caught:
        read(study_file(text))
    assert said in str(caught.value)
