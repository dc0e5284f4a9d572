"""The commands that messages offer can be pasted, wherever the files lie, and do what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from ledgers import fill
from mirrored import empty

from htsweep import launching
from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.cli.app import main
from htsweep.commands import PASSWORD, Given, operand, shown
from htsweep.errors import HtsweepError, LedgerError, StudyHeld
from htsweep.launching import launch
from htsweep.ledger import Lease, Store
from htsweep.mirror import address
from htsweep.mirror.serving import serving_lines
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.report.build import tell
from htsweep.results import Results

Call = Callable[..., tuple[int, str]]
FOLDERS = [
    "plain",
    "my studies",
    "it's",
    'the "best"',
    "-x",
    "a\nb",
    "a;b&c",
    "$HOME `id`",
    "é漢",
    "100% #1 ?",
]
TOY = "study: toy\ntask: toy\ngrid: {x: [0.1, 0.5], fail: ['', raise]}\n"


def offered(text: str) -> list[list[str]]:
    """The commands in `text`, as a shell would take them: each ends its line, unless a line break is part of a name."""
    found = []
    for start in re.finditer(r"(?:^|: )(?=(?:htsweep|mlflow|mv|ssh) )", text, re.MULTILINE):
        lines = text[start.end() :].split("\n")
        for count in range(1, len(lines) + 1):
            try:
                found.append(shlex.split("\n".join(lines[:count])))
            except ValueError:  # within quotes: the name goes on in the next line
                continue
            break
        else:
            pytest.fail(f"no shell can read {text[start.end() :]!r}")
    return found


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs a command line in this process: its exit code, and what it says; reports are not drawn."""

    def write(results: object, out: Path, metrics: object = ()) -> tuple[Findings, list[Path]]:
        return Findings("toy", Design((), "x"), None, [], "last", 1, ""), []

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    monkeypatch.setattr(build, "write", write)

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        code = caught.value.code
        return code if isinstance(code, int) else 0, "".join(capsys.readouterr())

    return run


def lay(folder: Path, text: str = TOY, name: str = "my study.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_launch_offers_works_as_it_stands(folder: str, call: Call, tmp_path: Path) -> None:
    file, results = str(lay(tmp_path / folder)), str(tmp_path / folder / "res ults")
    given = [file, "--set", "fixed.y=0.4", "--results", results]
    code, said = call("launch", *given, "--on", "inline", "--no-mirror")
    assert code == 3
    [status, again] = offered(said)
    assert status == ["htsweep", "status", *given]
    assert again == ["htsweep", "launch", *given, "--on", "inline", "--no-mirror"]
    code, said = call(*status[1:])
    assert code == 0
    # The trials of this override, on these results
    assert "4: 2 done, 0 stopped early, 2 failed, 0 to run" in said
    [rerun, mirror] = offered(said)
    assert mirror == ["htsweep", "mirror", *given]
    code, said = call(*rerun[1:])
    assert code == 3
    assert "nothing is recorded" in said
    code, said = call(*again[1:])
    assert code == 3
    assert "(2 reused, 2 failed, 0 remaining)" in said


def test_what_a_mirror_offers_works_as_it_stands(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "my studies"
    study = read(lay(folder, "task: toy\ngrid: {x: [0.1]}\n", "study.yaml"))
    fill(study, folder / "res ults")
    empty(folder / "res ults" / "mlflow.db")
    code, said = call("status", str(study.file), "--results", str(folder / "res ults"))
    [mirror] = offered(said)
    code, said = call(*mirror[1:])
    assert code == 0
    assert "has all 1 ended trials" in said
    assert offered(said) == [["htsweep", "ui", "--results", str(folder / "res ults")]]


def test_what_is_offered_where_there_is_nothing_yet(call: Call, tmp_path: Path) -> None:
    file, results = str(lay(tmp_path / "my studies")), str(tmp_path / "res ults")
    with pytest.raises(LedgerError) as caught:
        tell(Results(read(file), results))
    assert offered(str(caught.value)) == [["htsweep", "launch", file, "--results", results]]
    code, said = call("ui", "--results", results)
    assert code == 2
    assert offered(said) == [
        ["htsweep", verb, "STUDY.yaml", "--results", results] for verb in ("launch", "mirror")
    ]
    code, said = call("plan", "absent.yaml")
    assert code == 2
    [new] = offered(said)
    assert call(*new[1:])[0] == 0
    assert (tmp_path / "study.yaml").exists()


@pytest.mark.parametrize("name", ["my study.yaml", "-dash.yaml", "a\nb.yaml", "it's #1.yaml"])
def test_what_new_offers_works_as_it_stands(name: str, call: Call, tmp_path: Path) -> None:
    code, said = call("new", "--method", "source,plain", "--", name)
    assert code == 0
    [plan, launched] = offered(said)
    assert (plan[1], launched[1]) == ("plan", "launch")
    code, said = call(*plan[1:])
    assert code == 0
    assert "12: 0 done" in said
    # Its first line is a comment, whatever the name.
    assert (tmp_path / name).read_text(encoding="utf-8").splitlines()[1].startswith("#")


def test_what_is_offered_where_another_launch_holds_the_study(call: Call, tmp_path: Path) -> None:
    file, results = lay(tmp_path / "my studies"), str(tmp_path / "res ults")
    lease = Lease(Store(results), "study-toy", about=Given(str(file), (), results).launch())
    assert lease.take() is None
    try:
        with pytest.raises(StudyHeld) as caught:
            launch(read(file), results, on="inline", mirror=None)
    finally:
        lease.release()
    assert offered(str(caught.value)) == [
        ["htsweep", "launch", str(file), "--results", results],
        ["htsweep", "status", str(file), "--results", results, "--watch"],
    ]


def test_the_server_that_the_ui_offers_is_named_in_whole(tmp_path: Path) -> None:
    from htsweep.mirror.copying import Mirror

    folder = tmp_path / "res ults %2F"
    folder.mkdir()
    uri = address.of_database(folder / "mlflow.db")
    empty(folder / "mlflow.db")
    Mirror(uri, "toy")
    [ssh, server] = offered("\n".join(serving_lines(uri, 5000, 5001)))
    assert ssh == ["ssh", "-L", "5001:127.0.0.1:5001", "THIS-MACHINE"]
    assert server[:2] == ["mlflow", "server"]
    assert (
        address.database_of(server[server.index("--backend-store-uri") + 1]) == folder / "mlflow.db"
    )
    assert (
        address.path_of(server[server.index("--artifacts-destination") + 1])
        == folder / "mlartifacts"
    )


def test_a_budget_that_ended_a_launch_is_continued_as_it_was_given(
    call: Call, tmp_path: Path
) -> None:
    file = str(lay(tmp_path / "my studies", "study: toy\ntask: toy\ngrid: {x: [0.1, 0.2, 0.3]}\n"))
    code, said = call("launch", file, "--on", "inline", "--no-mirror", "--set", "budget.trials=1")
    assert code == 0
    [again] = offered(said)
    assert again == [
        "htsweep",
        "launch",
        file,
        "--set",
        "budget.trials=1",
        "--on",
        "inline",
        "--no-mirror",
    ]
    code, said = call(*again[1:], "--set", "budget.trials=3")
    assert "ran 2 trials" in said


# -- the words themselves
# -----------------------------------------------------------------------------------------------

TEXTS = st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20
)


@examples(
    TEXTS,
    st.lists(TEXTS, max_size=3),
    TEXTS,
    st.sampled_from(["ray", "inline"]),
    st.none() | TEXTS,
    st.none() | TEXTS,
)
def test_what_is_offered_has_what_was_given(
    file: str,
    overrides: list[str],
    results: str,
    on: str,
    address: str | None,
    mirror: str | None,
) -> None:
    given = Given(file, tuple(overrides), results, on, address, mirror)
    words = shlex.split(given.launch())
    assert words[:3] == ["htsweep", "launch", operand(file)]
    assert not words[2].startswith("-")
    assert Path(words[2]) == Path(file)
    rest = words[3:]
    for override in overrides:
        assert rest[:2] == ["--set", override]
        rest = rest[2:]
    expected = [] if results == "results" else ["--results", results]
    expected += [] if on == "ray" else ["--on", on]
    expected += [] if address is None else ["--address", address]
    expected += ["--no-mirror"] if mirror is None else ["--tracking-uri", shown(mirror)]
    assert rest == expected


@pytest.mark.parametrize(
    ("uri", "visible"),
    [
        ("https://me:s3cret@host/x", f"https://me:{PASSWORD}@host/x"),
        (
            "postgresql+psycopg2://me:s3:cr@et@host:5432/db",
            f"postgresql+psycopg2://me:{PASSWORD}@host:5432/db",
        ),
        ("https://host/x?token=s3cret&a=1", f"https://host/x?token={PASSWORD}&a=1"),
        ("mysql://host/db?ssl_password=s3cret", f"mysql://host/db?ssl_password={PASSWORD}"),
        ("https://me:s3/cr@et@host/x", f"https://me:{PASSWORD}@host/x"),
        ("https://host:5000/a@b", "https://host:5000/a@b"),
        ("me:s3cret@host", f"me:{PASSWORD}@host"),
        ("https://token@host", "https://token@host"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////a@b/c:d@e/mlflow.db", "sqlite:////a@b/c:d@e/mlflow.db"),
    ],
)
def test_no_password_is_shown(uri: str, visible: str) -> None:
    assert shown(uri) == visible
    assert ("with the password in place of" in Given(mirror=uri).secret) == (visible != uri)


def test_a_mistake_in_a_tracking_uri_shows_no_password(call: Call, tmp_path: Path) -> None:
    file = str(lay(tmp_path / "my studies"))
    code, said = call("mirror", file, "--tracking-uri", "htp://me:s3cret@host")
    assert code == 2
    assert "s3cret" not in said
    with pytest.raises(HtsweepError) as caught:
        address.resolved("me:s3cret@host/x")
    assert "s3cret" not in str(caught.value)
