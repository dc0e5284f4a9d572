"""Any path, as MLflow and SQLAlchemy take it for a URI."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

import htsweep.mirror.quiet  # noqa: F401  (before MLflow)
from htsweep.errors import HtsweepError
from htsweep.mirror import address

# isort: split
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import append_to_uri_path, extract_db_type_from_uri

NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name not in (".", "..")) | st.sampled_from(
    [
        "feature%2Fx",
        "100%",
        "a?b",
        "a#b",
        "a b",
        "a&b;c",
        "it's",
        '"',
        "\u6f22",
        "a\nb",
        "~",
        "~root",
        "dot.",
        "-x",
        "+",
        ":memory:",
        "a:b",
        "[x]",
        "back\\slash",
        "%00",
        "file:x",
        "sqlite:",
        "x" * 250,
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: Path("/", *names))


@given(PATHS)
def test_a_database_is_found_again_by_us_and_by_sqlalchemy(path: Path) -> None:
    uri = address.of_database(path)
    assert address.database_of(uri) == path
    assert make_url(uri).database == str(path)
    assert extract_db_type_from_uri(uri) == "sqlite"
    assert address.resolved(uri) == uri
    # What MLflow would make beside the folder that is meant, it makes of `sqlite:` alone.
    assert not uri.startswith("sqlite:///") or uri == f"sqlite:///{path}"


@given(PATHS)
def test_artifacts_are_found_again_by_us_and_by_mlflow(path: Path) -> None:
    location = address.location(path)
    assert address.path_of(location) == path
    assert local_file_uri_to_path(location) == str(path)
    assert (
        local_file_uri_to_path(append_to_uri_path(location, "run", "artifacts"))
        == f"{path}/run/artifacts"
    )


def test_a_plain_path_is_named_as_it_is() -> None:
    assert (
        address.of_database(Path("/data/results/mlflow.db")) == "sqlite:////data/results/mlflow.db"
    )
    assert address.location(Path("/data/results/mlartifacts")) == "/data/results/mlartifacts"
    assert address.path_of("s3://bucket/x") is None
    assert address.path_of("mlflow-artifacts:/x") is None


def test_a_tracking_uri_as_users_give_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").write_bytes(b"")
    for given_, database in {
        "runs.db": "runs.db",
        "sub dir/runs.sqlite": "sub dir/runs.sqlite",
        "old": "old",
        "sqlite:///runs.db": "runs.db",
        "sqlite:///a%20b.db": "a b.db",
        "sqlite+pysqlite:///runs.db": "runs.db",
        f"file://{tmp_path}/runs.db": "runs.db",
    }.items():
        assert address.database_of(address.resolved(given_)) == tmp_path / database
    assert (
        address.resolved("sqlite:///runs.db?timeout=5") == f"sqlite:///{tmp_path}/runs.db?timeout=5"
    )
    for uri in (
        "http://127.0.0.1:5000",
        "https://user:secret@host/mlflow",
        "postgresql+psycopg2://u:p@host/db",
        "databricks://x",
        "databricks",
    ):
        assert address.resolved(uri) == uri
    for uri, hint in {
        "htp://host": "did you mean 'http'",
        "mlruns": "sqlite:///",
        "./mlruns": "keeps no runs in folders",
        "sqlite://": "in memory",
        "sqlite:///:memory:": "in memory",
        ".": "keeps no runs in folders",
    }.items():
        with pytest.raises(HtsweepError, match=hint):
            address.resolved(uri)
