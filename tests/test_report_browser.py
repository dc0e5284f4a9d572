"""The report's page in a real browser: opened from disk, filtered, sorted, in the dark, on a phone, on paper."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import digits
from paged import DESIGN, HOSTILE, METHODS, synthetic
from test_report_stretch import DECADES

from htsweep.analysis import frontier
from htsweep.analysis.design import design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.report import answers_first, interactive, stretch
from htsweep.report.names import rounded
from htsweep.report.page import page
from htsweep.selection.fronts import non_dominated

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PLOTS = "[data-chart=frontiers] .js-plotly-plot"
TRACES = f"""() => [...document.querySelectorAll('{PLOTS}')].map(plot => ({{
    names: plot.data.map(trace => trace.name), dots: plot.querySelectorAll('.scatterlayer path.point').length}}))"""
PLOTLY_READS = "<b>bold</b><br><a href='https://example.com'>a &amp; b</a>"
"""HTML of the kind that plotly makes something of in a label."""
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
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
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens HTML from disk; whatever it complains of, fetches or asks fails the test at its end."""
    complaints: list[str] = []
    contexts = []

    def opened(
        html: str,
        *,
        wait: str = f"{PLOTS} .main-svg",
        anchor: str = "",
        script: str = "",
        **settings: Any,
    ) -> Any:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        made = context.new_page()
        made.on("console", lambda message: complaints.append(f"console: {message.text}"))
        made.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        made.on(
            "dialog",
            lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        )
        made.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else complaints.append(f"request: {request.url}")
            ),
        )
        if script:
            made.add_init_script(script)
        made.goto(path.as_uri() + anchor)
        if wait:
            made.wait_for_selector(wait, timeout=60_000)
        return made

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def html() -> str:
    return page(synthetic(), question="Does it help?", answers=["It does."])


def see(made: Any, section: str) -> None:
    """Scrolls to a section, and waits for its chart."""
    made.evaluate(
        "name => document.getElementById(name).scrollIntoView({behavior: 'instant'})", section
    )
    made.wait_for_selector(f"#{section} .main-svg", timeout=30_000)


def test_classes_are_drawn_and_the_matrix_follows_the_chosen_method(open_page: Open) -> None:
    found = synthetic()
    made = open_page(page(found), wait="")
    see(made, "classes")
    groups = len(found.summary[list(DESIGN.groups)].drop_duplicates())
    made.wait_for_selector("[data-chart=confusion] .main-svg")
    matrices = """() => [...document.querySelectorAll('[data-chart=confusion] .js-plotly-plot')].map(
        plot => plot.data[0].z.map((row, place) => row[place]))"""
    first = made.evaluate(matrices)
    assert len(first) == groups
    assert all(len(diagonal) == 3 for diagonal in first)
    made.locator("[data-chart=confusion] select").select_option(index=1)
    other = made.evaluate(matrices)
    names = list(dict.fromkeys(found.confusion["method"]))
    for place, shown in ((0, first), (1, other)):
        own = found.confusion[
            (found.confusion["method"] == names[place])
            & (found.confusion["label"] == 0)
            & (found.confusion["predicted"] == 0)
        ]["share"]
        assert sorted(row[0] for row in shown) == pytest.approx(sorted(100 * own), rel=1e-4)
    dots = made.locator("[data-chart=classes] .scatterlayer path.point").count()
    assert dots == len(found.classes)


def test_the_matrix_of_any_trial_is_drawn(open_page: Open) -> None:
    found = synthetic()
    made = open_page(page(found), wait="")
    see(made, "classes")
    made.wait_for_selector("[data-chart=matrices] .main-svg")
    shown = """() => { const [matrix, classes] = [
        ...document.querySelectorAll('[data-chart=matrices] .js-plotly-plot')].map(plot => plot.data[0])
        return [matrix.z, classes.y, classes.marker.symbol] }"""
    points, repetitions = made.locator("[data-chart=matrices] select").all()
    names = points.locator("option").all_inner_texts()
    assert len(set(names)) == len(names) == found.answers["point"].nunique()
    places = list(dict.fromkeys(found.answers["point"]))
    for place, repetition in ((0, 0), (len(places) - 1, 0), (len(places) - 1, 3), (1, 3)):
        points.select_option(index=place)
        if repetition:
            repetitions.select_option(label=str(repetition))
        kept = found.answers[
            (found.answers["point"] == places[place]) & (found.answers["repetition"] == repetition)
        ].iloc[0]
        expected = [[0.0] * 3 for _ in range(3)]
        for cell, images in zip(kept["cells"], kept["images"], strict=True):
            expected[cell // 3][cell % 3] = 10.0 * images
        matrix, accuracies, symbols = made.evaluate(shown)
        assert matrix == expected
        assert accuracies == [expected[label][label] for label in range(3)]
        assert symbols == ["circle", "circle", "circle-open"]
        assert f"weight {kept['weight']:g}" in names[place]
        assert kept["method"] in names[place]
    # Another point at the same repetition
    assert repetitions.input_value() != ""
    assert repetitions.locator("option:checked").inner_text() == "3"


def test_it_opens_from_disk_and_draws_every_chart(open_page: Open, html: str) -> None:
    made = open_page(html)
    sections = made.eval_on_selector_all(
        ".chart", "charts => charts.map(chart => chart.closest('section').id)"
    )
    assert len(sections) == 15
    for section in sections:
        see(made, section)
        assert made.locator(f"#{section} .js-plotly-plot").count() >= 1
        assert (
            made.locator(
                f"#{section} :is(.scatterlayer path.point, .barlayer path, .scatterlayer "
                "path.js-line)"
            ).count()
            > 1
        )
    assert made.locator("#trouble").inner_text() == ""
    # No axis is longer than percent can be, and no marker is cut by an axis.
    beyond, cut = made.evaluate(
        """() => {
        const plots = [...document.querySelectorAll('.js-plotly-plot')]
        const axes = plots.flatMap(plot => [plot._fullLayout.xaxis, plot._fullLayout.yaxis])
        const stretched = axis => plots.some(plot => plot._fullLayout.xaxis === axis) && axis.ticktext
        return [
            axes.filter(axis => axis?.title.text.endsWith('(%)') && !stretched(axis))
                .filter(axis => Math.max(...axis.range) > 100 || Math.min(...axis.range) < 0)
                .map(axis => axis.title.text),
            plots.flatMap(plot => plot._fullData).filter(
                trace => trace.mode?.includes('markers') && trace.cliponaxis !== false).length,
        ] }"""
    )
    assert (beyond, cut) == ([], 0)
    ends = f"() => document.querySelector('{PLOTS}')._fullLayout.xaxis.range[1]"
    assert made.evaluate(ends) == 0  # 100 %, stretched
    for low, high, _ in DECADES:
        assert made.evaluate("ends => logarithmic(ends).tickvals", [low, high]) == stretch.decades(
            low, high
        )
    given = [0.0001, 0.03, 1, 1000, 20_000, 300_000, 2_000_000, 1e9]
    assert made.evaluate("values => values.map(rounded)", given) == list(map(rounded, given))


def test_a_method_that_is_filtered_out_leaves_the_plots_and_tables_and_comes_back(
    open_page: Open, html: str
) -> None:
    made = open_page(html)
    before, rows = made.evaluate(TRACES), made.locator("#methods tbody tr:visible").count()
    assert len(before) == 3
    made.locator("#filters summary", has_text="method").click()
    made.get_by_role("group", name="method").get_by_label("l2sp").uncheck()
    after = made.evaluate(TRACES)
    for old, new in zip(before, after, strict=True):
        assert set(old["names"]) - set(new["names"]) == {"l2sp"}
        assert new["dots"] < old["dots"]
    # Of both tables, in three groups
    assert made.locator("#methods tbody tr:visible").count() == rows - 6
    assert "without l2sp" in made.locator("#filtered").inner_text()
    assert "baseline" not in made.locator("#filtered").inner_text()
    made.get_by_role("group", name="method").get_by_label("plain").uncheck()
    told = made.locator("#filtered").inner_text()
    assert told.endswith(
        "Differences are still those to plain, the baseline, which is filtered out."
    )
    made.get_by_role("button", name="Show all").click()
    assert made.evaluate(TRACES) == before
    assert made.locator("#methods tbody tr:visible").count() == rows


def test_a_dataset_that_is_filtered_out_takes_its_panels_along(open_page: Open, html: str) -> None:
    made = open_page(html)
    made.locator("#filters summary", has_text="dataset").click()
    made.get_by_role("group", name="dataset").get_by_label("mnist-uci").uncheck()
    assert made.locator(PLOTS).count() == 1
    assert made.locator("#frontiers figcaption").inner_text() == "uci-mnist, 50 % missing"
    see(made, "curves")
    assert made.locator("#curves .js-plotly-plot").count() == 1
    cells = made.locator("#methods table").first.locator("tbody tr:visible td:nth-child(2)")
    assert set(cells.all_inner_texts()) == {"uci-mnist"}
    # The address says what is shown, and a link to a section keeps it.
    made.get_by_role("link", name="Provenance").click()
    made.wait_for_function("() => location.hash === '#provenance&f0=0'")
    again = open_page(html, anchor=made.evaluate("() => location.hash"), wait="")
    again.wait_for_selector("#filtered:has-text('without mnist-uci')")


def test_hiding_the_front_shows_the_front_of_the_others(open_page: Open) -> None:
    """Of three methods one beats the others; without it both are on the front."""
    table = frontier.frontier(digits({"best": (0.9, 0.9), "a": (0.8, 0.2), "b": (0.2, 0.8)}))
    table = table.assign(own_front=True, disrupts=False)
    made = open_page(
        page(
            Findings("t", design(table.columns), (SEEN, MISSING), [], "last", 3, "a", points=table)
        )
    )
    symbols = f"""() => document.querySelector('{PLOTS}').data.filter(trace => trace.mode === 'markers'
        && trace.name !== 'chosen').map(trace => [trace.name, trace.marker.symbol[0]])"""
    opens = {name: symbol.endswith("-open") for name, symbol in made.evaluate(symbols)}
    assert opens == {"best": False, "a": True, "b": True}
    made.locator("#frontiers .legend button", has_text="best").click()
    assert {name: symbol.endswith("-open") for name, symbol in made.evaluate(symbols)} == {
        "a": False,
        "b": False,
    }
    assert (
        made.locator("#frontiers .legend button", has_text="best").get_attribute("aria-pressed")
        == "false"
    )


@pytest.mark.parametrize("chosen", [False, True])
def test_the_front_of_any_choice_of_methods_is_that_of_the_analysis(
    open_page: Open, html: str, chosen: bool
) -> None:
    made, points = open_page(html), synthetic().points
    if chosen:
        points = points[points["chosen"]]
    filled = """([names, chosen]) => {
        hidden.methods = new Set(data.methods.keys().filter(m => !names.includes(data.methods[m].name)))
        return charts.frontiers.panels({...charts.frontiers.options(), chosen}).map(panel =>
            Object.fromEntries(panel.traces.filter(trace => trace.mode === 'markers' && trace.hovertext)
                .map(trace => [trace.name, trace.marker.symbol.map(symbol => !symbol.endsWith('-open'))])))
    }"""
    for names in (METHODS, ("source", "plain"), ("l2sp", "oracle"), METHODS[1:3], ("oracle",)):
        expected = []
        for _, group in points[points["method"].isin(names)].groupby(
            list(DESIGN.groups), sort=False
        ):
            competes = (group["role"] != "bound").to_numpy()
            front = np.zeros(len(group), bool)
            front[competes] = non_dominated(group[SEEN][competes], group[MISSING][competes])
            of_method = group["method"].to_numpy()
            expected.append({name: front[of_method == name].tolist() for name in set(of_method)})
        assert made.evaluate(filled, [list(names), chosen]) == expected


def test_bars_join_the_shown_methods_of_a_clique(open_page: Open, html: str) -> None:
    """Ranks 1.0, 1.9, ..., 5.5 and cliques of three neighbours."""
    made = open_page(html)
    bars = """names => {
        hidden.methods = new Set(data.methods.keys().filter(m => names.includes(data.methods[m].name)))
        return charts.ranks.panels()[0].traces.filter(trace => trace.line?.width === 5).map(trace => trace.x)
    }"""
    assert np.array(made.evaluate(bars, [])) == pytest.approx(
        np.array([[1, 2.8], [1.9, 3.7], [2.8, 4.6], [3.7, 5.5]])
    )
    without_second = np.array([[1, 2.8], [2.8, 4.6], [3.7, 5.5]])
    assert np.array(made.evaluate(bars, [METHODS[1]])) == pytest.approx(without_second)
    assert made.evaluate(bars, [METHODS[1], METHODS[2], METHODS[4]]) == [[3.7, 5.5]]


def test_hovering_tells_the_configuration_and_how_sure_it_is(open_page: Open, html: str) -> None:
    made = open_page(html)
    made.locator(f"{PLOTS} .scatterlayer path.point").nth(4).hover(force=True)
    made.wait_for_selector(f"{PLOTS} .hoverlayer .hovertext")
    told = made.locator(f"{PLOTS} .hoverlayer .hovertext").first.text_content()
    assert "l2sp.backbone=" in told
    assert "seen: " in told
    assert "[" in told
    assert "n = 6" in told
    assert "of bootstrap samples" in told


def test_no_button_sends_data_away(open_page: Open, html: str) -> None:
    """plotly.js 4 has one, which opens a window at a server of its makers'; no policy of the page would stop it."""
    table = frontier.frontier(digits())
    for made, plot in (
        (open_page(html), PLOTS),
        (
            open_page(
                interactive.page(table, SEEN, MISSING, design(table.columns)),
                wait="#frontier .main-svg",
            ),
            "#frontier",
        ),
    ):
        made.locator(f"{plot} .nsewdrag").first.hover()
        made.wait_for_selector(f"{plot} .modebar-btn", state="attached")
        titles = made.eval_on_selector_all(
            f"{plot} .modebar-btn", "buttons => buttons.map(button => button.dataset.title)"
        )
        assert (
            {"Zoom", "Reset axes"}
            <= set(titles)
            <= {
                "Download plot as a PNG",
                "Zoom",
                "Pan",
                "Box Select",
                "Lasso Select",
                "Zoom in",
                "Zoom out",
                "Autoscale",
                "Reset axes",
            }
        )


def test_options_of_the_frontiers_draw_more(open_page: Open, html: str) -> None:
    made = open_page(html)
    count = len(made.evaluate(TRACES)[0]["names"])
    made.get_by_label("attained by").check()
    attained = made.evaluate(TRACES)[0]["names"]
    assert len(attained) == count + 2 * len(METHODS)
    assert "median of l2sp" in attained
    made.get_by_label("each method's front").check()
    assert "front of l2sp" in made.evaluate(TRACES)[0]["names"]


def test_the_table_sorts_by_click_and_by_keyboard(open_page: Open, html: str) -> None:
    made = open_page(html)
    table = made.locator("#methods table").first
    head = table.locator("thead th", has_text="seen (%)")

    def texts() -> list[list[str]]:
        return table.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )

    def blocks() -> list[tuple[tuple[str, ...], list[float]]]:
        """The group of each run of rows, and the numbers in them."""
        runs = itertools.groupby(texts(), lambda cells: tuple(cells[1:4]))
        return [(group, [float(cells[4].split()[0]) for cells in rows]) for group, rows in runs]

    unsorted = blocks()
    assert len(unsorted) == 3
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    # Within each group, and the groups where they were.
    assert blocks() == [(group, sorted(numbers)) for group, numbers in unsorted] != unsorted
    head.locator("button").focus()
    made.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert blocks() == [(group, sorted(numbers, reverse=True)) for group, numbers in unsorted]
    ratio = table.locator("thead th", has_text="missing ratio")
    ratio.locator("button").click()
    assert [group[1] for group, _ in blocks()] == sorted(group[1] for group, _ in unsorted)
    other = table.locator("thead th", has_text="method")
    other.locator("button").focus()
    made.keyboard.press("Space")
    assert (other.get_attribute("aria-sort"), ratio.get_attribute("aria-sort")) == (
        "ascending",
        None,
    )
    called = [
        text.split(" source model")[0].split(" upper bound")[0]
        for text in table.locator("tbody th").all_inner_texts()
    ]
    assert called == 3 * sorted(METHODS)


def test_the_keyboard_reaches_the_filters_and_leaves_them(open_page: Open, html: str) -> None:
    made = open_page(html)
    made.keyboard.press("Tab")
    assert made.evaluate("() => document.activeElement.className") == "skip"
    summary = made.locator("#filters summary", has_text="method")
    summary.focus()
    made.keyboard.press("Enter")
    made.keyboard.press("Tab")
    made.keyboard.press("Tab")
    made.keyboard.press("Tab")
    made.keyboard.press("Space")
    assert "without source" in made.locator("#filtered").inner_text()
    made.keyboard.press("Escape")
    assert not made.get_by_role("group", name="method").is_visible()
    assert summary.evaluate("summary => summary === document.activeElement")


@pytest.mark.parametrize("name", [*HOSTILE, PLOTLY_READS])
def test_names_are_letters(open_page: Open, name: str) -> None:
    findings = synthetic(
        (*METHODS[:3], name, "oracle"),
        [(name, 0.5, name), ("b", 0.3, "c")],
        parameter=name,
        component=name,
    )
    findings = replace(
        findings, title=name, baseline=name, provenance={name: name}, missing=name, warnings=[name]
    )
    made = open_page(page(findings, question=name, answers=[name]))
    for section in made.eval_on_selector_all(
        ".chart", "charts => charts.map(chart => chart.closest('section').id)"
    ):
        see(made, section)
    assert made.locator("h1").inner_text() == name
    assert made.locator("img").count() == 0
    scripts = made.evaluate(
        "() => [...document.scripts].filter(script => "
        "script.textContent.startsWith('alert')).length"
    )
    assert scripts == 0
    assert name in made.locator("#methods tbody th").all_inner_texts()
    assert name in [
        text.strip() for text in made.locator("#frontiers .legend button").all_inner_texts()
    ]
    # In the labels of plots, which plotly reads as HTML of a kind.
    labels = made.locator("#ablation .ytick text, #hypervolume .ytick text").all_text_contents()
    assert sum(text.startswith(name[:8]) for text in labels) >= 2
    for place in range(made.locator(f"{PLOTS} .scatterlayer path.point").count()):
        made.locator(f"{PLOTS} .scatterlayer path.point").nth(place).hover(force=True)
        told = made.locator(f"{PLOTS} .hoverlayer").first.text_content() or ""
        if told.startswith(name):
            break
    else:
        pytest.fail("no hover told the name")


def test_the_dark_changes_the_charts_at_once(open_page: Open, html: str) -> None:
    made = open_page(html, color_scheme="light")
    paper = f"() => getComputedStyle(document.querySelector('{PLOTS} .main-svg')).backgroundColor"
    page_paper = "() => getComputedStyle(document.body).backgroundColor"
    assert made.evaluate(paper) == made.evaluate(page_paper) == "rgb(255, 255, 255)"
    source = f"() => document.querySelector('{PLOTS}').data.find(trace => trace.name === 'source').marker.color"
    assert made.evaluate(source) == "#000000"
    made.emulate_media(color_scheme="dark")
    made.wait_for_function(f"() => ({paper})() !== 'rgb(255, 255, 255)'")
    assert made.evaluate(paper) == made.evaluate(page_paper)
    assert made.evaluate(source) == "#F5F5F5"


def test_a_phone_scrolls_no_page_sideways(open_page: Open, html: str) -> None:
    made = open_page(html, viewport={"width": 360, "height": 740})
    for section in made.eval_on_selector_all(
        "section", "sections => sections.map(section => section.id)"
    ):
        made.evaluate(
            "name => document.getElementById(name).scrollIntoView({behavior: 'instant'})", section
        )
        made.wait_for_timeout(50)
        assert made.evaluate("() => document.documentElement.scrollWidth") <= 360
    # Tables scroll in their box
    assert made.evaluate("() => document.querySelector('#methods .box').scrollWidth") > 360
    assert (
        made.evaluate(f"() => document.querySelector('{PLOTS}').getBoundingClientRect().width")
        > 300
    )
    made.locator("#filters summary", has_text="missing ratio").click()
    assert made.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_filters_and_headers_stay_on_a_phone_s_screen(open_page: Open) -> None:
    long = [(f"{'photos-of-many-kinds' * 2}-{place}", 0.5, f"net{place}") for place in range(2)]
    made = open_page(page(synthetic(groups=long)), viewport={"width": 380, "height": 740})
    for summary in made.locator("#filters summary").all():
        summary.click()
        box = made.locator("#filters details[open] .choices").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 380
    made.keyboard.press("Escape")
    see(made, "curves")
    assert made.locator("#filters").bounding_box()["y"] == 0
    made.evaluate(
        """() => { const box = document.querySelector('#methods .box')
        box.scrollIntoView({behavior: 'instant', block: 'end'})
        box.scrollTo({left: 150, top: 200, behavior: 'instant'}) }"""
    )
    at = made.evaluate(
        """() => { const box = document.querySelector('#methods .box')
        const heads = [...box.querySelectorAll('thead th')].map(head => head.getBoundingClientRect())
        const cells = [...box.querySelectorAll('tbody tr')].map(row => [...row.cells].map(
            cell => cell.getBoundingClientRect().left))
        const [{x, y, top, left}] = heads, edge = box.getBoundingClientRect()
        return {
            scrolled: [box.scrollLeft, box.scrollTop], corner: [left - edge.left, top - edge.top],
            apart: heads.map((head, place) => Math.abs(head.left - cells[0][place])),
            front: document.elementFromPoint(x + 5, y + 5).closest('th').matches('thead th:first-child') }
        }"""
    )
    assert at["scrolled"] == [150, 200]
    assert at["corner"] == pytest.approx([0, 0], abs=1)
    assert max(at["apart"]) < 1
    assert at["front"]


def test_the_answer_and_the_frontier_are_above_the_fold(open_page: Open) -> None:
    found = synthetic()
    # As long as an answer is that names two methods with long names.
    first = answers_first.first(found)
    first += " " + first[: 400 - len(first)]
    assert len(first) > 390
    made = open_page(page(found, first=first), viewport={"width": 1400, "height": 900})
    assert made.locator(".first").bounding_box()["y"] > 0
    for plot in made.locator(PLOTS).all():
        box = plot.bounding_box()
        assert box["y"] + box["height"] <= 900


def test_paper_has_no_controls_and_all_charts_in_white(open_page: Open, html: str) -> None:
    made = open_page(html, color_scheme="dark")
    made.emulate_media(media="print")
    made.wait_for_function(
        "() => [...document.querySelectorAll('.chart')].every(chart => "
        "chart.querySelector('.main-svg'))"
    )
    for hidden in ("#filters", "nav", ".controls >> nth=0", ".skip"):
        assert not made.locator(hidden).is_visible()
    backgrounds = made.evaluate(
        "() => [...document.querySelectorAll('.main-svg:first-child')].map(svg => "
        "svg.style.background)"
    )
    assert set(backgrounds) == {"rgb(255, 255, 255)"}
    widths = made.evaluate(
        "() => [...document.querySelectorAll('.plot')].map(plot => "
        "plot.getBoundingClientRect().width)"
    )
    assert max(widths) <= 500
    # Rows of all metrics are printed, not those of the chosen one alone.
    assert made.locator("#methods table").nth(1).locator("tbody tr:visible").count() == 75
    made.emulate_media(media="screen")
    made.wait_for_function(
        f"() => document.querySelector('{PLOTS} .main-svg').style.background !== 'rgb(255, 255, "
        "255)'"
    )
    assert made.locator("#methods table").nth(1).locator("tbody tr:visible").count() == 15


def test_without_unpacking_or_scripts_the_tables_are_there(open_page: Open, html: str) -> None:
    made = open_page(html, wait="", script="delete window.DecompressionStream")
    made.wait_for_selector("#trouble:has-text('No charts')")
    assert made.locator("#methods tbody tr:visible").count() > 18
    made.locator("#methods thead button").first.click()
    bare = open_page(html, wait="", java_script_enabled=False)
    assert bare.get_by_text("Charts, filters and sorting need scripts").is_visible()
    assert made.locator("#scriptless").count() == 0
    assert bare.locator("#methods tbody tr:visible").count() == 18 + 75


def test_the_frontier_alone_opens_too(open_page: Open) -> None:
    frame = digits({**dict.fromkeys(HOSTILE, (0.9, 0.1)), "plain": (0.95, 0.05)})
    table = frontier.frontier(frame)
    html = interactive.page(table, SEEN, MISSING, design(frame.columns))
    assert len(html) < 2_500_000
    made = open_page(html, wait="#frontier .main-svg")
    assert made.locator("#frontier .scatterlayer path.point").count() == 4
    legend = made.locator("#frontier .legend button")
    assert set(HOSTILE) <= {text.strip() for text in legend.all_inner_texts()}
    legend.filter(has_text="plain").click()
    assert made.locator("#frontier .scatterlayer path.point").count() == 3
    bare = open_page(html, wait="", java_script_enabled=False)
    assert bare.get_by_text("The numbers are in frontier.csv").is_visible()


def test_the_frontier_alone_fits_a_phone_and_the_dark(open_page: Open) -> None:
    frame = digits(datasets=("mnist-uci", "uci-mnist"))
    table = frontier.frontier(frame)
    table = table.assign(chosen=table["method"] == "l2sp")
    made = open_page(
        interactive.page(table, SEEN, MISSING, design(frame.columns), note="Means."),
        wait="#frontier .main-svg",
        viewport={"width": 380, "height": 740},
        color_scheme="dark",
    )
    assert made.evaluate("() => document.documentElement.scrollWidth") <= 380
    plots = made.locator("#frontier .plot")
    widths = [plot.bounding_box()["width"] for plot in plots.all()]
    assert len(widths) == 2  # one below the other
    assert min(widths) > 340
    colours = """() => [...document.querySelectorAll('#frontier .plot')].map(plot => [
        plot.data.find(trace => trace.name === 'source').marker.color,
        plot.data.find(trace => trace.name === 'chosen by the protocol').marker.color])"""
    assert made.evaluate(colours) == [["#F5F5F5", "#e6e8eb"]] * 2
    paper = "() => getComputedStyle(document.querySelector('#frontier .main-svg')).backgroundColor"
    assert made.evaluate(paper) == "rgb(21, 24, 28)"
    made.emulate_media(color_scheme="light")
    made.wait_for_function(f"() => ({paper})() === 'rgb(255, 255, 255)'")
    assert made.evaluate(colours) == [["#000000", "#1f2328"]] * 2
    made.locator("#filters summary", has_text="dataset").click()
    made.get_by_role("group", name="dataset").get_by_label("mnist-uci").uncheck()
    assert plots.count() == 1
