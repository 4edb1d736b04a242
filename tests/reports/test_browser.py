"""The page in a headless Chromium, as somebody uses it: sorted, filtered, asked, in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lipbench.reporting import render

from .conftest import Sketch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
HOSTILE = "<img src=x onerror=alert(1)>$_%&"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of four methods at three settings with three seeds, and a hostile label."""
    folder = tmp_path_factory.mktemp("page")
    sketch = Sketch()
    for i, method in enumerate(("SN", "WGAN-GP", "none", HOSTILE)):
        for j, setting in enumerate("ACF"):
            for seed in range(3):
                value = 10.0 * (i + 1) + 3 * j + seed
                lost = (method, setting, seed) == ("none", "F", 0)
                cause = {"cause": "loss_d is nan"} if lost else {}
                run = sketch.run(method, setting, "diverged" if lost else value, seed, **cause)
                sketch.curves += [
                    (run, update, name, value / update)
                    for update in (500, 1000, 2000)
                    for name in ("loss_d", "fd_digits_selection")
                ]
                (folder / f"{i}{j}{seed}").mkdir()
                sketch.grid_of_samples(run, folder / f"{i}{j}{seed}/002000.png", 20 * i)
    grids = {run: [path] for run, path in sketch.samples.items()}
    return render(replace(sketch.results(), grids=grids), folder / "report")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[list[Page]]:
    """Yield what opens the page, and fails at the end of an error, a warning or a request."""
    complaints: list[str] = []
    contexts = []

    def open_(**options) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: asked(request.url))
        page.goto(report.as_uri())
        return page

    def asked(url: str) -> None:
        if not url.startswith(("data:", "blob:")) and url.partition("#")[0] != report.as_uri():
            complaints.append(f"request: {url}")

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def column(page: Page, table: str, number: int) -> list[str]:
    cells = page.locator(f"{table} tbody tr > :nth-child({number})")
    return [text.split("\n")[0].split(" ")[0] for text in cells.all_inner_texts()]


def test_the_first_screen_says_who_is_best_and_how_sure_that_is(opened):
    page = opened(viewport={"width": 1280, "height": 900})

    answers = page.locator("#answer .answer")
    text = " ".join(answers.all_inner_texts())
    assert "SN is the most robust" in text
    assert "95%" in text
    assert answers.last.bounding_box()["y"] < 500
    for figure in ("#figure-1", "#figure-2"):
        assert page.locator(f"{figure} svg").bounding_box()["y"] < 900


def test_a_click_on_a_column_sorts_a_table_and_says_so(opened):
    page = opened()
    table = "figure:has(figcaption:text('over its settings and seeds')) table"
    before = column(page, table, 2)
    head = page.locator(f"{table} th").nth(1)

    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()

    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, table, 2) == sorted(before, key=float, reverse=True) != before
    head.get_by_role("button").click()
    assert column(page, table, 2) == before


def test_the_table_of_all_runs_is_searched_and_paged(opened):
    page = opened()
    rows = page.locator("#all-runs tbody tr")
    assert rows.count() == 25

    page.locator("#runs input[type=search]").fill("diverged")

    assert rows.count() == 1
    assert "loss_d is nan" in rows.first.inner_text()


def test_the_table_of_all_scores_has_each_method_by_each_score_with_its_interval(opened):
    page = opened()
    heads = page.locator("#all-scores thead th").all_inner_texts()

    page.locator("#scores input[type=search]").fill("FD (digits) SN")

    (row,) = [r for r in column(page, "#all-scores", 1) if r == "SN"]
    assert row == "SN"
    assert "Interquartile mean" in " ".join(heads)


def test_a_method_is_switched_off_in_tables_figures_and_among_the_runs(opened):
    page = opened()
    assert page.locator("#figure-1 [data-method='WGAN-GP']").first.is_visible()

    page.locator("#methods summary").click()
    page.get_by_label("WGAN-GP", exact=True).uncheck()

    for element in page.locator("[data-method='WGAN-GP']").all()[:20]:
        assert not element.is_visible()
    assert page.locator("#figure-1 [data-method='SN']").first.is_visible()
    page.locator("#runs input[type=search]").fill("WGAN")
    assert "WGAN-GP" not in page.locator("#all-runs tbody").inner_text()


def test_a_cell_leads_to_its_runs_and_a_run_to_all_that_is_known_of_it(opened):
    page = opened()
    page.locator("#evidence td[data-runs]").first.click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("li").count() == 9

    dialog.locator("li button").first.click()

    text = dialog.inner_text()
    assert "SN, A, seed 0" in text
    assert "lipbench run" in text
    assert dialog.locator("polyline").count() == 2
    assert dialog.locator("img").is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_a_row_of_the_runs_is_opened_by_the_keyboard(opened):
    page = opened()
    row = page.locator("#all-runs tbody tr").first
    row.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    assert "#run=" in page.url


def test_a_cell_is_opened_by_the_keyboard(opened):
    page = opened()
    page.locator("#evidence td[data-runs]").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").locator("li").count() == 9


def test_the_keyboard_reaches_the_content_first(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"


def test_samples_are_browsed_by_method_setting_seed_and_update(opened):
    page = opened()
    image = page.locator("#sample")
    before = image.get_attribute("src")
    page.locator("#browse select[name=method]").select_option("none")
    page.locator("#browse select[name=seed]").select_option("2")
    assert image.get_attribute("src") != before
    assert "none at A, seed 2" in image.get_attribute("alt")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_and_its_button_changes_that(opened, scheme):
    page = opened(color_scheme=scheme)

    def paper() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3])

    assert (paper() < 200) == (scheme == "dark")
    page.locator("#theme").click()
    assert (paper() < 200) == (scheme == "light")


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#answer .answer").first.is_visible()


def test_labels_are_text_everywhere(opened):
    page = opened()
    page.locator("#runs input[type=search]").fill("onerror")
    page.locator("#all-runs tbody tr").first.click()
    assert HOSTILE in page.get_by_role("dialog").inner_text()
    assert page.locator("img[src=x]").count() == 0


def test_each_part_has_a_name_and_each_figure_a_description(opened):
    page = opened()
    regions = page.locator("main > section.part")
    for region in regions.all():
        assert page.locator(f"#{region.get_attribute('aria-labelledby')}").inner_text()
    for drawing in page.locator(".drawing[role=img]").all():
        assert len(drawing.get_attribute("aria-label")) > 10
    for control in page.locator("input, select").all():
        label = control.evaluate(
            "e => e.ariaLabel || e.labels?.[0]?.textContent.trim() || e.title"
        )
        assert label, control


def test_the_page_prints_without_what_only_a_screen_can_do(opened):
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav.bar").is_visible()
    assert page.locator("#answer .answer").first.is_visible()


def test_without_scripts_tables_and_figures_are_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("#figure-1 svg").is_visible()
    assert page.locator("#evidence table").first.is_visible()
