"""Data in a bucket of a server that speaks S3, from the study to the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.fs as fs
import pytest
from buckets import KEYS, Bucket, bucket
from faulty import Faults, faulty
from pictures import domains

from htsweep import buckets as module
from htsweep.cli.app import main
from htsweep.errors import StudyError
from htsweep.execution.conditions import conditions_of
from htsweep.execution.trial import run
from htsweep.execution.work import Work, from_json, to_json
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from tasks import buckets

STUDY = """\
task: holistic_transfer
fixed: {{backbone: lenet_bn, image_size: 8, source_epochs: 1, epochs: 1}}
grid:
  dataset: ['{dataset}']
  method: [plain]
"""
TASK = """\
from tasks import data
from tasks.task import declare

@declare(meaning=lambda config: {"content": data.fingerprint(config["domain"])})
def counted(config, workspace):
    images = data.load(config["domain"], workspace.cache, 8)
    yield {"step": 1, "sum": float(images.pixels.sum())}
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bucket, Path]]:
    root = tmp_path_factory.mktemp("data") / "photos"
    domains(root, {"ant": 4, "bee": 4})
    with bucket() as made:
        files, place = fs.FileSystem.from_uri(made.uri("photos"))
        fs.copy_files(str(root), place, destination_filesystem=files)
        yield made, root


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "LISTING_SECONDS", 0.2)
    yield
    buckets.pin({})


def test_a_study_on_a_bucket_has_the_ids_of_one_on_a_folder(
    there: tuple[Bucket, Path], study_file: Callable[..., Path]
) -> None:
    made, root = there
    ids = []
    for place in (str(root), made.uri("photos")):
        study = read(study_file(STUDY.format(dataset=f"folder:{place}:art-photo")))
        ids.append([sweep.id for sweep in plan(study).sweeps])
    assert ids[0] == ids[1]
    assert made.uri("photos") in buckets.versions()


def test_a_trial_reads_the_version_that_was_planned_with(
    there: tuple[Bucket, Path],
    study_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, root = there
    study_file(TASK, "counting.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    study = read(study_file("task: toy\n"))
    conditions = conditions_of(study, str(tmp_path / "r"))

    def measured(trial: str, place: str, version: str = "") -> object:
        config = {"domain": f"folder:{place}:art"}
        copies = ((place, version),) if version else ()
        vars(conditions)["copies"] = copies
        work = Work(Job(trial, "trial", "counting:counted", config, 0), conditions)
        assert from_json(to_json(work)) == work
        done = run(work)
        return done.values.get("sum", done.reason)

    assert measured("a", str(root)) == measured("b", made.uri("photos"))
    version = buckets.versions()[made.uri("photos")]
    assert measured("c", made.uri("photos"), version) == measured("a", str(root))
    assert "has changed since the launch planned its trials" in str(
        measured("d", made.uri("photos"), "another")
    )
    table = Ledger(Store(tmp_path / "r")).trials(["trial", "config"]).to_pylist()
    assert made.uri("photos") in next(row["config"] for row in table if row["trial"] == "c")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("bucket/photos", "bucket/nothing"), "see that bucket and path are spelt as they are"),
        (("bucket/photos", "another/photos"), "see that bucket and path are spelt as they are"),
        (("s3://", "s3://AKIA:planted-secret@"), "the URI holds a password"),
        (("s3://", "s4://"), "there is no access to s4:// here; a bucket is one of s3://"),
    ],
)
def test_a_bucket_that_cannot_be_read_is_an_error_of_its_line(
    there: tuple[Bucket, Path],
    study_file: Callable[..., Path],
    change: tuple[str, str],
    said: str,
) -> None:
    made, _ = there
    dataset = f"folder:{made.uri('photos').replace(*change)}:art-photo"
    with pytest.raises(StudyError) as told:
        read(study_file(STUDY.format(dataset=dataset)))
    assert "line 4: grid.dataset: s" in str(told.value)
    assert said in str(told.value)
    assert "planted-secret" not in str(told.value)


def test_refused_keys_are_named_and_not_repeated(
    there: tuple[Bucket, Path], study_file: Callable[..., Path]
) -> None:
    made, _ = there
    with faulty(made.address, Faults(error=1.0, status=403)) as proxy:
        dataset = f"folder:{made.uri('photos', proxy.address)}:art-photo"
        with pytest.raises(
            StudyError, match="The service refuses the keys of this machine"
        ) as told:
            read(study_file(STUDY.format(dataset=dataset)))
        assert proxy.counts == {"error": 1}
    assert not [key for key in list(KEYS.values())[:2] if key in str(told.value)]


def test_a_copy_survives_a_service_that_fails(there: tuple[Bucket, Path]) -> None:
    made, root = there
    with faulty(made.address, Faults(error=0.1, lost=0.1, cut=0.1, seed=3)) as proxy:
        place = buckets.place(made.uri("photos", proxy.address))
        assert sum(proxy.counts.values()) > 3
    assert {path.relative_to(place): path.read_bytes() for path in place.rglob("*.png")} == {
        path.relative_to(root): path.read_bytes() for path in root.rglob("*.png")
    }


def test_large_objects_are_read_in_pieces(
    there: tuple[Bucket, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = there
    monkeypatch.setattr(module, "PIECE", 1000)
    data = bytes(range(256)) * 10
    Store(made.uri("large")).write("one.bin", data)
    assert (buckets.place(made.uri("large")) / "one.bin").read_bytes() == data


def test_data_check_reads_a_copy_and_names_the_bucket(
    there: tuple[Bucket, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    uri = there[0].uri("photos")
    with pytest.raises(SystemExit) as caught:
        main(["data", "check", "folder", "--root", uri])
    said = capsys.readouterr()
    assert caught.value.code == 0, said.err
    assert said.out.startswith(f"folder in s3://{there[0].name}/photos: ")
    assert "cache" not in said.out
    with pytest.raises(SystemExit) as caught:
        main(["data", "check", "folder", "--root", there[0].uri("phtos")])
    said = capsys.readouterr()
    assert caught.value.code == 2
    assert said.err.startswith(f"error: s3://{there[0].name}/phtos: ")
    assert "see that bucket and path are spelt" in said.err
