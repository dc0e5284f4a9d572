"""What libraries warn their developers of is not shown to users, and a trial's own output is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

START = "import sys, logging, warnings\nfrom htsweep.cli.terminal import hush\nhush()\n"
SAYS = """\
warnings.warn("mean of empty slice", RuntimeWarning)
logging.getLogger("matplotlib.font_manager").warning("findfont")
logging.getLogger("htsweep.ledger").warning("an object is left out")
logging.getLogger("other").error("an error")
"""


def said(code: str, *flags: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout + done.stderr


def test_warnings_of_libraries_stay_off_the_terminal_and_ours_and_errors_do_not() -> None:
    assert said(START + SAYS).splitlines() == ["an object is left out", "an error"]


def test_warnings_are_shown_where_they_are_asked_for() -> None:
    assert "mean of empty slice" in said(START + SAYS, "-Wdefault")
    assert "mean of empty slice" in said(START + SAYS, PYTHONWARNINGS="default")


def test_what_a_trial_says_goes_to_its_log_in_whole() -> None:
    code = (
        START
        + "import contextlib, io\nlog = io.StringIO()\nwith contextlib.redirect_stderr(log):\n"
        + "".join(f"    {line}\n" for line in SAYS.splitlines())
        + "print(sorted(log.getvalue().split()))"
    )
    text = said(code)
    for word in ("slice", "findfont", "'left'", "error"):
        assert word in text


def test_a_name_in_no_encoding_is_shown_with_escapes() -> None:
    assert said(START + "print('a\\udcffb')", PYTHONIOENCODING="utf-8") == "a\\udcffb\n"


def test_a_study_whose_path_is_in_no_encoding_is_named(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    code = "from htsweep.cli.app import main; import sys; sys.argv[0] = 'htsweep'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", path], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"caf" in done.stderr
