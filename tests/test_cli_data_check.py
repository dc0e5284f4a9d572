"""`htsweep data check`: what it prints, and its exit codes."""

import pytest
from benchmarked import listed

from htsweep.cli.app import main


def run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["data", "check", *words])
    printed = capsys.readouterr()
    return caught.value.code, printed.out, printed.err


def test_data_that_can_be_used_is_shown(capsys, tmp_path, monkeypatch):
    listed(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "lists", "--root", "mine")
    assert code == 0
    assert out.splitlines()[0] == f"lists in {tmp_path / 'mine'}: 2 domains"
    assert out.splitlines()[2].split() == ["art", "18", "3", "12", "0", "6", "-"]


def test_what_is_wrong_ends_with_two(capsys, tmp_path):
    (listed(tmp_path) / "photo" / "mug" / "00000.jpg").unlink()
    code, out, _ = run(capsys, "lists", "--root", str(tmp_path))
    assert code == 2
    assert "are listed and not there: photo/mug/00000.jpg (photo_testing.txt, line 1)" in out
    assert "Traceback" not in out


def test_a_mistake_of_the_command_is_told(capsys, tmp_path):
    code, _, said = run(capsys, "oficehome", "--root", str(tmp_path))
    assert (code, said.startswith("error: no benchmark 'oficehome'")) == (2, True)
    code, _, said = run(capsys, "femnist", "--root", str(tmp_path / "none"))
    assert (code, "holds no JSON file" in said) == (2, True)
