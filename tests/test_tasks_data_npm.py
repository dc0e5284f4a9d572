"""Archives of packages: fetched by the user's npm, or taken from a folder, and checked."""

import hashlib
import os

import pytest

from tasks.data import npm
from tasks.data.npm import Package

CONTENT = b"the archive"
ONE = Package("@scope/one", "1.2.3", hashlib.sha256(CONTENT).hexdigest())
TWO = Package("two", "4.0.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """An `npm` that writes the archive of what it is asked for, and a list of its calls."""
    place = tmp_path / "bin"
    place.mkdir()
    script = place / "npm"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        "shift\n"
        'for spec in "$@"; do last=$to; to=$spec; [ "$last" = --pack-destination ] && break; done\n'
        'while [ "$1" != --pack-destination ]; do\n'
        f'  if [ -e {tmp_path}/broken ] && grep -q "^$1$" {tmp_path}/broken; then\n'
        '    echo "npm error 404 Not Found" >&2; exit 1; fi\n'
        '  name=$(echo "$1" | sed "s/^@//; s|/|-|; s/@/-/")\n'
        f'  printf "{CONTENT.decode()}" > "$to/$name.tgz"\n'
        "  shift\n"
        "done\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def calls(place):
    return (place / "calls").read_text().splitlines() if (place / "calls").exists() else []


def test_archives_are_called_as_npm_calls_them():
    assert (ONE.spec, ONE.archive) == ("@scope/one@1.2.3", "scope-one-1.2.3.tgz")


def test_what_is_missing_is_fetched_once_and_runs_no_scripts(fake_npm):
    said = []
    (fake_npm / "kept").mkdir()
    for _ in range(2):
        found = npm.archives([ONE, TWO], None, fake_npm / "kept", said.append)
        assert [path.read_bytes() for path in found.values()] == [CONTENT, CONTENT]
    (call,) = calls(fake_npm)
    assert "@scope/one@1.2.3 two@4.0.0" in call
    assert "--ignore-scripts" in call
    assert said == ["fetching @scope/one@1.2.3 through npm", "fetching two@4.0.0 through npm"]


def test_half_an_archive_is_fetched_again(fake_npm):
    (fake_npm / "kept").mkdir()
    (fake_npm / "kept" / ONE.archive).write_bytes(CONTENT[:5])
    npm.archives([ONE], None, fake_npm / "kept", lambda _: None)
    assert len(calls(fake_npm)) == 1


def test_a_registry_that_fails_is_quoted_with_the_way_round_it(fake_npm):
    (fake_npm / "broken").write_text(f"{ONE.spec}\n")
    with pytest.raises(ValueError, match=r"404 Not Found.*npm pack @scope/one@1\.2\.3.*--from"):
        npm.archives([ONE], None, fake_npm, lambda _: None)


def test_what_arrived_before_npm_failed_is_not_fetched_again(fake_npm):
    (fake_npm / "kept").mkdir()
    (fake_npm / "broken").write_text(f"{TWO.spec}\n")
    with pytest.raises(ValueError, match=r"^npm cannot fetch two@4\.0\.0: npm error 404.*--from"):
        npm.archives([ONE, TWO], None, fake_npm / "kept", lambda _: None)
    (fake_npm / "broken").unlink()
    npm.archives([ONE, TWO], None, fake_npm / "kept", lambda _: None)
    first, second = calls(fake_npm)
    assert ONE.spec in first
    assert ONE.spec not in second


def test_many_packages_are_named_by_their_number(fake_npm):
    (fake_npm / "kept").mkdir()
    many = [Package(f"p{number}", "1.0.0", ONE.sha256) for number in range(npm.FEW + 1)]
    said = []
    assert len(npm.archives(many, None, fake_npm / "kept", said.append)) == 9
    assert said == ["fetching 9 packages through npm"]


def test_without_npm_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"npm is not installed .*--from"):
        npm.archives([ONE], None, tmp_path, lambda _: None)


def test_a_folder_that_lacks_archives_or_holds_others_names_them_all(tmp_path):
    (tmp_path / TWO.archive).write_bytes(b"another version")
    with pytest.raises(ValueError, match="2 of 2 archives") as caught:
        npm.archives([ONE, TWO], tmp_path, tmp_path, lambda _: None)
    said = str(caught.value)
    assert "scope-one-1.2.3.tgz is missing" in said
    assert "two-4.0.0.tgz has the SHA-256" in said
    assert "npm pack @scope/one@1.2.3 two@4.0.0" in said
    with pytest.raises(ValueError, match="there is no folder"):
        npm.archives([ONE], tmp_path / "nowhere", tmp_path, lambda _: None)
