"""`htsweep data get`: names, mistakes, and exit codes; what it makes is tested where it is made."""

import pytest

from htsweep.cli.app import main
from tasks.data import made


def run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["data", "get", *words])
    printed = capsys.readouterr()
    return caught.value.code, printed.out, printed.err


def test_an_unknown_dataset_is_a_mistake_with_a_hint(capsys):
    code, _, said = run(capsys, "emojy")
    assert code == 2
    assert said == (
        "error: no dataset 'emojy' can be made; did you mean 'emoji'? known: emoji, glyphs\n"
    )


def test_archives_that_are_missing_are_a_mistake_with_the_command_that_gets_them(capsys, tmp_path):
    code, _, said = run(capsys, "emoji", "--out", str(tmp_path / "out"), "--from", str(tmp_path))
    assert code == 2
    assert "5 of 5 archives" in said
    assert "npm pack @iconify-json/noto@1.2.9" in said


def test_a_folder_that_cannot_be_made_is_a_mistake_that_names_it(capsys, tmp_path):
    (tmp_path / "file").write_text("no folder")
    code, _, said = run(capsys, "emoji", "--out", str(tmp_path / "file"))
    assert code == 2
    assert said.startswith(f"error: {tmp_path / 'file' / 'emoji'}: Not a directory")
    assert "--out" in said


def test_what_is_done_is_said_line_by_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(made, "get", lambda name, out, given, say: say(f"{name} {out} {given}"))
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "emoji")[:2] == (0, f"emoji {tmp_path / 'data'} None\n")
