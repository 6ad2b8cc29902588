"""The report as somebody opens it from a file share, in Debian's Chromium without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_job import SyntheticJob

from pypcore.report.page import write_report

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """The report of 250 items, of which one has pictures of note and one a name that wants to be run."""
    from playwright.sync_api import sync_playwright

    names = [f"mic_{n:03d}" for n in range(250)]
    names[7] = HOSTILE
    made = SyntheticJob(tmp_path / "job", 250, names=names)
    made.run(ended=True, outcome="failed")
    for n in range(240):
        made.end(n, products=made.picture(n) if n in (1, 2) else {})
    for n in range(240, 250):
        made.end(n, "failed", f"raw/{n}.tiff: torn")
    report = write_report(made.job.folder, tmp_path / "report.html")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_context(offline=True, viewport={"width": 390, "height": 844}).new_page()
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        shown.goto(report.as_uri())
        yield shown
        browser.close()
    assert complaints == []


def names_shown(page: Any) -> list[str]:
    return page.locator("#table tbody tr td:first-child").all_inner_texts()


def test_its_table_is_searched_sorted_and_paged_and_its_pictures_enlarged(page: Any) -> None:
    assert "job: rehearse" in page.title()  # which nothing in the job has changed
    assert names_shown(page)[7] == HOSTILE
    assert len(names_shown(page)) == 100
    page.get_by_role("button", name="Next").click()
    assert names_shown(page)[0] == "mic_100"
    page.locator("#outcome").select_option("failed")
    assert names_shown(page) == [f"mic_{n}" for n in range(240, 250)]
    page.locator("#outcome").select_option("")
    page.locator("#search").fill("c_24")
    assert names_shown(page) == [f"mic_{n}" for n in range(240, 250)]
    page.locator("#search").fill("")
    page.get_by_role("button", name="Total motion, Å").press("Enter")
    rising = [float(one) for one in page.locator("#table tbody tr td:nth-child(4)").all_inner_texts()]
    assert rising == sorted(rising)
    page.get_by_role("button", name="Total motion, Å").press("Enter")
    assert float(page.locator("#table tbody tr td:nth-child(4)").first.inner_text()) > rising[-1]
    page.get_by_role("button", name="Enlarge: mic_001").click()
    assert page.locator("#large img").evaluate("image => image.naturalWidth") > 300
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()
    # Nothing is wider than a phone.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
