"""MLflow's UI shows seen against missing at once: looked at in a real browser, since no interface promises it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mirrored import METHODS, run

from htsweep.mirror.copying import Mirror
from htsweep.mirror.serving import free_port, serve, wait_for
from htsweep.mirror.view import AXES, link

pytestmark = pytest.mark.browser

RUNS = 12
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIRST_CHART = """() => {
    const chart = document.querySelector('.js-plotly-plot')
    const dots = [...chart.querySelectorAll('.scatterlayer path.point')]
    return {
        across: chart.querySelector('.xtitle')?.textContent, up: chart.querySelector('.ytitle')?.textContent,
        dots: dots.length, colours: new Set(dots.map(dot => dot.style.fill)).size,
        width: chart.getBoundingClientRect().width, bottom: chart.getBoundingClientRect().bottom,
    }
}"""


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a browser that was never here before."""
    from playwright.sync_api import sync_playwright

    chromium = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if chromium is None:
        pytest.fail(
            "no Chromium: `apt-get install chromium`, or leave these tests out with `-m 'not "
            "browser'`"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield browser.new_page(viewport={"width": 1600, "height": 1000})
        finally:
            browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of an MLflow UI on twelve runs of four methods, two more that are not to be seen, and the experiment's id."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = Mirror(uri, "digits")
    mirror.write(
        [
            *(run(number) for number in range(RUNS)),
            run(RUNS, status="failed"),
            run(RUNS + 1, status="stopped"),
        ]
    )
    mirror.write_study("name: digits\n")
    port = free_port(0)
    with serve(uri, port) as process:
        try:
            wait_for(process, port)
            yield f"http://127.0.0.1:{port}", mirror.experiment
        finally:
            process.terminate()


def test_the_printed_link_shows_seen_against_missing_a_dot_a_run(
    page: Any, server: tuple[str, str], tmp_path: Path
) -> None:
    page.goto(link(*server))
    page.wait_for_selector(".js-plotly-plot .scatterlayer path.point", timeout=60_000)
    page.wait_for_function(f"() => ({FIRST_CHART})().dots >= {RUNS}", timeout=30_000)
    page.screenshot(path=tmp_path / "seen-against-missing.png")
    chart = page.evaluate(FIRST_CHART)
    assert (chart["across"], chart["up"]) == AXES
    assert chart["dots"] == RUNS
    assert chart["colours"] == len(METHODS)
    assert chart["width"] > 400
    assert chart["bottom"] < 1000  # seen without scrolling

    # Whoever comes by the front door finds it by name.
    page.goto(f"{server[0]}/#/experiments/{server[1]}/runs")
    page.reload()
    page.get_by_role("button", name="Views").click()
    page.get_by_text("missing accuracy against seen accuracy").click()
    page.wait_for_url("**viewStateShareKey=**")
