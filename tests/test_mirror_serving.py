"""Serving the UI: its port, and its end."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mirrored import empty, mirror_of

from htsweep.errors import HtsweepError
from htsweep.mirror.serving import free_port, serving_lines, ui
from htsweep.mirror.view import TAG


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return empty(tmp_path / "mlflow.db")


def test_a_taken_port_is_stepped_around_and_a_missing_database_is_named(
    database: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    with pytest.raises(HtsweepError, match="htsweep launch"):
        ui(tmp_path / "none" / "mlflow.db", "none", port)
    mirror = mirror_of(database)
    lines = serving_lines(f"sqlite:///{database}", 5000, 5001)
    assert "port 5000 is taken" in lines[0]
    assert f"#/experiments/{mirror.experiment}/runs?viewStateShareKey=" in "\n".join(lines)
    assert "--allowed-hosts" in lines[-1]
    assert len(mirror._tags[TAG]) < 5000  # MLflow's limit in other databases


def test_a_ui_that_is_ended_takes_its_server_along(database: Path) -> None:
    mirror_of(database)
    code = "import sys; from htsweep.cli.app import main; main(['ui', '--results', sys.argv[1], '--port', '0'])"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(database.parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("starting MLflow")
    address = process.stdout.readline().split()[2].rstrip(",")
    process.terminate()
    assert process.wait(30) == 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{address}/health", timeout=5
            ).close()
        except OSError:
            return
        time.sleep(0.2)
    pytest.fail(f"{address} still answers")
