"""The report's text, letter by letter, and names that try to be markup."""

import re

import pandas as pd
import pytest
from frames import METHODS, digits, trials_of

from htsweep.errors import HtsweepError
from htsweep.report import typeset
from htsweep.report.text import columns, report

HOW = (
    "Numbers are means over 3 repetitions, in percent, with 95 % intervals [low, high] (Student's "
    "t). Chosen by `last`: the first configuration of each sweep (its defaults) at its last step. "
    "The highest mean of each group is **bold**; upper bounds do not compete. With 3 repetitions, "
    "a paired sign-flip test cannot reach p < 0.05; at least 6 are needed."
)
MARKDOWN = f"""# digits

{HOW}

### mnist-uci, 50 % missing, lenet_bn

| method                 |   n |                   seen |               missing |               overall |         harmonic mean |                 AUSUC |
| ---------------------- | --: | ---------------------: | --------------------: | --------------------: | --------------------: | --------------------: |
| source                 |   3 |      60.0 [59.0, 61.0] | **60.0** [59.0, 61.0] |     60.0 [59.0, 61.0] | **60.0** [59.0, 61.0] | **36.0** [34.8, 37.2] |
| plain                  |   3 | **99.4** [98.4, 100.0] |        2.0 [1.0, 3.0] |     50.7 [49.7, 51.7] |        3.9 [2.0, 5.8] |        2.0 [1.0, 3.0] |
| l2sp                   |   3 |      98.6 [97.6, 99.6] |     35.0 [34.0, 36.0] | **66.8** [65.8, 67.8] |     51.7 [50.4, 52.9] |     34.5 [33.2, 35.8] |
| selective_distillation |   3 |      98.0 [97.0, 99.0] |     30.0 [29.0, 31.0] |     64.0 [63.0, 65.0] |     45.9 [44.7, 47.2] |     29.4 [28.1, 30.7] |
| oracle                 |   3 |      98.0 [97.0, 99.0] |     98.0 [97.0, 99.0] |     98.0 [97.0, 99.0] |     98.0 [97.0, 99.0] |     96.0 [94.1, 98.0] |

Nothing is missing: every point has its 3 repetitions.
"""
LATEX = r"""% \usepackage{booktabs}
\begin{table}[t]
\centering
\small
\caption{Numbers are means over 3 repetitions, in percent, with 95 \% intervals [low, high] (Student's t). Chosen by last: the first configuration of each sweep (its defaults) at its last step. The highest mean of each group is bold; upper bounds do not compete. With 3 repetitions, a paired sign-flip test cannot reach p \textless{} 0.05; at least 6 are needed.}
\begin{tabular}{lrrrrrr}
\toprule
method & $n$ & seen & missing & overall & harmonic mean & AUSUC \\
\midrule
\multicolumn{7}{l}{\emph{mnist-uci, 50 \% missing, lenet\_bn}} \\
source & 3 & 60.0 {\scriptsize [59.0, 61.0]} & \textbf{60.0} {\scriptsize [59.0, 61.0]} & 60.0 {\scriptsize [59.0, 61.0]} & \textbf{60.0} {\scriptsize [59.0, 61.0]} & \textbf{36.0} {\scriptsize [34.8, 37.2]} \\
plain & 3 & \textbf{99.4} {\scriptsize [98.4, 100.0]} & 2.0 {\scriptsize [1.0, 3.0]} & 50.7 {\scriptsize [49.7, 51.7]} & 3.9 {\scriptsize [2.0, 5.8]} & 2.0 {\scriptsize [1.0, 3.0]} \\
l2sp & 3 & 98.6 {\scriptsize [97.6, 99.6]} & 35.0 {\scriptsize [34.0, 36.0]} & \textbf{66.8} {\scriptsize [65.8, 67.8]} & 51.7 {\scriptsize [50.4, 52.9]} & 34.5 {\scriptsize [33.2, 35.8]} \\
selective\_distillation & 3 & 98.0 {\scriptsize [97.0, 99.0]} & 30.0 {\scriptsize [29.0, 31.0]} & 64.0 {\scriptsize [63.0, 65.0]} & 45.9 {\scriptsize [44.7, 47.2]} & 29.4 {\scriptsize [28.1, 30.7]} \\
oracle & 3 & 98.0 {\scriptsize [97.0, 99.0]} & 98.0 {\scriptsize [97.0, 99.0]} & 98.0 {\scriptsize [97.0, 99.0]} & 98.0 {\scriptsize [97.0, 99.0]} & 96.0 {\scriptsize [94.1, 98.0]} \\
\bottomrule
\end{tabular}
\end{table}
"""


def test_the_report_as_a_person_has_read_it() -> None:
    frame = digits()
    found = report(trials_of(frame), frame, title="digits")
    assert found["report.md"] == MARKDOWN
    assert found["report.tex"] == LATEX


def test_it_is_enough_to_read_what_is_declared() -> None:
    frame = digits()
    for protocol in ("last", "seen_validation", "test_accuracy"):
        few = frame[
            [name for name in frame.columns if "/" not in name or name in (columns(protocol) or [])]
        ]
        assert report(trials_of(frame), few, protocol=protocol) == report(
            trials_of(frame), frame, protocol=protocol
        )


def test_all_is_read_of_a_task_with_metrics_of_its_own() -> None:
    assert columns("last", ["test/loss"]) is None
    assert columns("last", ["test/ausuc", "test/loss"]) == ["test/ausuc"]


def test_the_chosen_configuration_is_told() -> None:
    frame = digits()
    text = report(
        trials_of(frame), frame, protocol="seen_validation", parameters=["l2sp.backbone"]
    )["report.md"]
    assert re.search(r"\| l2sp .*\| l2sp\.backbone=0\.1 \|", text)
    assert (
        "Chosen by `seen_validation`: the highest mean accuracy on held-out target data of the "
        "seen classes." in text
    )


def test_what_is_not_there_is_said() -> None:
    frame = digits(repetitions=4)
    gone = frame["trial"] == "mnist-uci/plain/3"
    trials = trials_of(frame[~gone])
    trials.loc[trials["trial"] == "mnist-uci/l2sp/2", "status"] = "failed"
    frame = frame[~gone & (frame["trial"] != "mnist-uci/l2sp/2")]
    cell = {"dataset": "mnist-uci", "backbone": "lenet_bn"}
    planned = pd.DataFrame(
        [
            {"sweep": "mnist-uci/plain", "missing_ratio": 0.5, "method": "plain", **cell},
            {"sweep": "new", "missing_ratio": 0.3, "method": "lolsgd", **cell},
        ]
    )
    text = report(trials, frame, repetitions=4, planned=planned)["report.md"]
    assert text.partition("These points and sweeps are missing")[2].splitlines()[2:] == [
        "- mnist-uci, 50 % missing, lenet_bn, plain: 1 of 1 points left out (trials: 1 not run yet); "
        "no result",
        "- mnist-uci, 50 % missing, lenet_bn, l2sp: 1 of 1 points left out (trials: 1 failed); no "
        "result",
        "- mnist-uci, 30 % missing, lenet_bn, lolsgd: not run; no result",
    ]
    assert "| plain " not in text


def test_a_long_list_of_what_is_not_there_is_cut() -> None:
    frame = digits({f"method{k}": (0.5, 0.5) for k in range(50)}, repetitions=1)
    lines = report(trials_of(frame), frame, repetitions=2)["report.md"].rstrip().splitlines()
    assert lines[-1] == "- and 30 more sweeps"
    assert "No sweep has a point whose repetitions are all done yet." in lines


def test_one_repetition_shows_that_it_has_no_interval() -> None:
    frame = digits(repetitions=1)
    text = report(trials_of(frame), frame)["report.md"]
    assert "59.6 [n/a]" in text
    assert "A single repetition gives no interval." in text


def test_nothing_at_all_is_said_too() -> None:
    frame = digits()
    found = report(trials_of(frame).iloc[:0], frame.iloc[:0], repetitions=3)
    assert "No trial has a measurement." in found["report.md"]
    partial = frame[frame["repetition"] == 0]
    assert (
        "No sweep has a point whose repetitions are all done"
        in report(trials_of(partial), partial, repetitions=3)["report.md"]
    )


def test_a_metric_that_some_repetitions_lack_says_over_how_many_it_is() -> None:
    frame = digits()
    frame.loc[frame["trial"] == "mnist-uci/plain/0", "test/ausuc"] = None
    frame.loc[frame["method"] == "l2sp", "test/ausuc"] = None
    text = report(trials_of(frame), frame)["report.md"]
    assert re.search(r"\| plain .* \[[\d., ]+\] \(n=2\) \|", text)
    assert re.search(r"\| l2sp .* n/a \|", text)


def test_numbers_that_are_no_fractions_are_shown_as_they_are() -> None:
    frame = digits()[["trial", "sweep", "point", "repetition", "status", "step", "method"]].assign(
        **{"test/loss": 12.5}
    )
    text = report(trials_of(frame), frame)["report.md"]
    assert "Numbers are means over 3 repetitions, with 95 % intervals" in text
    assert "12.5 [12.5, 12.5]" in text
    assert "**12.5**" not in text


NASTY = r"a|b_<script>alert(1)</script>*x*_\y [l](u) & 50% #1 $z$ {w} ^~`q`"


def test_names_cannot_become_markup() -> None:
    frame = digits({NASTY: (0.9, 0.1)})
    found = report(trials_of(frame), frame, title="t")
    row = next(line for line in found["report.md"].splitlines() if "alert" in line)
    assert "<" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 8
    assert not re.findall(r"(?<!\\)[*`\[](?!\*|\d)", row.split(" | ")[0].replace("| ", "", 1))
    line = next(line for line in found["report.tex"].splitlines() if "alert" in line)
    assert line.startswith(
        r"a\textbar{}b\_\textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}*x*\_\textbackslash{}y "
        r"[l](u) \& 50\% \#1 \$z\$ \{w\} \textasciicircum{}\textasciitilde{}`q` & 3 & "
    )


def test_chains_that_come_as_json_are_shown_as_chains() -> None:
    frame = digits({'["lolsgd", "frozen_classifier"]': (0.9, 0.1)})
    assert "| lolsgd + frozen_classifier |" in report(trials_of(frame), frame)["report.md"]


def test_long_latex_goes_on_in_another_table() -> None:
    frame = digits(
        {**METHODS, **{f"m{k}": (0.5, 0.5) for k in range(20)}},
        datasets=("a-b", "b-a", "c-d"),
        repetitions=1,
    )
    text = report(trials_of(frame), frame)["report.tex"]
    assert (
        text.count(r"\begin{table}")
        == text.count(r"\end{tabular}")
        == text.count(r"\bottomrule")
        == 3
    )
    assert text.count("(continued)") == 2


def test_bold_goes_by_what_is_shown() -> None:
    frame = digits({"a": (0.90001, 0.5), "b": (0.90002, 0.4), "c": (0.8, 0.3)})
    text = report(trials_of(frame), frame)["report.md"]
    assert text.count("**90.0**") == 2


def test_escape_leaves_plain_text_alone() -> None:
    assert typeset.escape("l2sp + wise-ft (0.5), é") == "l2sp + wise-ft (0.5), é"


def test_any_measurement_can_be_shown() -> None:
    frame = digits().assign(**{"validation/alg_gamma": 1.5})
    found = report(trials_of(frame), frame, metrics=["validation/alg_gamma", "test/seen_accuracy"])[
        "report.md"
    ]
    assert re.search(r"\| method +\| +n \| validation/alg_gamma \| +seen \|", found)
    assert "|       1.5 [1.5, 1.5] |" in found
    with pytest.raises(
        HtsweepError,
        match=r"no measurement 'test/seen_acuracy'.* did you mean 'test/seen_accuracy'",
    ):
        report(trials_of(frame), frame, metrics=["test/seen_acuracy"])
