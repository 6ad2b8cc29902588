"""The panel as a person uses it, in Debian's Chromium."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from panel_ids import id_of
from synthetic_job import SyntheticJob

from pypcore.job import Job
from pypcore.status import read_status

pytestmark = pytest.mark.browser

HEAP = 100e6  # bytes that a job of 20,000 items may take in the browser
PHONE = {"width": 390, "height": 844}
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests here."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root has no sandbox in a container; the pages are ours.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Any]:
    """Open a panel's link in a fresh profile; what the page complains of fails the test."""
    contexts, complaints = [], []

    def open_page(panel: Any, *, heed: bool = True, **options: Any) -> Any:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1400, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        if heed:
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        page.goto(panel.server.link)
        page.wait_for_selector("#live:has-text('live')")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def pypcore(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def inputs(folder: Path, count: int) -> None:
    (folder / "in").mkdir()
    for n in range(count):
        (folder / "in" / f"m_{n:03d}.dat").write_text("x")


def until(page: Any, holds: str) -> None:
    """Wait until an expression holds; wait_for_function would need eval, which the page forbids."""
    for _ in range(300):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(100)
    raise AssertionError(holds)


def shown_done(page: Any) -> int:
    return int("".join(filter(str.isdigit, page.locator(".tile:has(dt:text-is('Done')) .big").inner_text())))


def test_a_running_job_of_200_items_is_seen_moving(open_panel, visit, tmp_path: Path) -> None:
    inputs(tmp_path, 200)
    page = visit(open_panel(tmp_path))
    assert page.locator("#jobs").get_by_text("No job is here yet").is_visible()
    run = pypcore("run", "rehearse", "in", "-o", "job", "--seconds", "0.1", "--total-threads", "2", folder=tmp_path)
    page.wait_for_selector("h1:text-is('job')")  # it appears by itself
    seen = {shown_done(page)}
    while page.locator("header.head .pill").inner_text().split()[-1] != "done":
        seen.add(shown_done(page))
        page.wait_for_timeout(200)
    assert run.wait() == 0
    assert shown_done(page) == 200
    assert len(seen) >= 3, seen  # it moved before our eyes, without a reload
    assert [one.inner_text().split()[-1] for one in page.locator(".phase .pill").all()] == ["done"] * 3


def test_a_failed_item_is_found_and_the_command_shown_mends_it(open_panel, visit, tmp_path: Path) -> None:
    inputs(tmp_path, 2)
    options = ("--fill", "0.5", "--memory", "0.5", "--seconds", "0.5", "--total-threads", "1")
    assert pypcore("run", "rehearse", "in", "-o", "job", *options, folder=tmp_path).wait() == 1
    page = visit(open_panel(tmp_path))
    page.get_by_role("link", name="m_001").first.click()
    page.wait_for_selector("h1:text-is('m_001')")
    assert "memory" in page.locator(".message").inner_text()
    assert page.locator("#log").is_visible()
    command = page.locator(".failures .command code").inner_text()
    assert command == f"pypcore resume {tmp_path}/job --memory 0.8"
    program, *arguments = shlex.split(command)
    assert program == "pypcore"
    assert pypcore(*arguments, folder=tmp_path).wait() == 0
    page.wait_for_selector("header.head .pill.done")
    assert read_status(Job(tmp_path / "job")).phase == "done"


def test_20000_items_are_light_in_the_browser(open_panel, visit, tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "jobs" / "large", 20_000)
    made.run(ended=True, outcome="failed")
    made.many(range(19_990))
    made.end(19_990, "failed", "raw/x.tiff: torn", log=made.log("torn\n"))
    page = visit(open_panel(tmp_path / "jobs"))
    page.wait_for_selector(".items tbody tr")
    page.wait_for_selector(".chart.course")
    until(page, "!document.body.textContent.includes('still reading')")
    assert page.locator(".items tbody tr").count() == 50
    page.get_by_role("button", name="Last", exact=True).click()
    page.get_by_role("link", name="FoilHole_19999_fractions").wait_for()
    page.get_by_role("button", name="Total motion, Å").click()
    page.wait_for_selector("th[aria-sort=ascending]:has-text('Total motion')")
    assert page.evaluate("performance.memory.usedJSHeapSize") < HEAP
    assert page.evaluate("document.querySelectorAll('*').length") < 3000


def test_the_keyboard_is_enough(open_panel, visit, made: SyntheticJob, tmp_path: Path) -> None:
    other = SyntheticJob(tmp_path / "jobs" / "other", 2)
    other.run(ended=True, outcome="failed")
    panel = open_panel(tmp_path / "jobs")
    page = visit(panel)
    key, at = page.keyboard.press, lambda: page.evaluate("document.activeElement.textContent")
    page.wait_for_selector("#title")
    key("Tab")
    assert at() == "Skip to the job"
    for _ in range(20):
        key("Tab")
        if at().startswith("other"):
            break
    key("Enter")
    page.wait_for_selector("h1:text-is('other')")
    until(page, "document.activeElement.id === 'title'")  # who can't see is told where they are
    key("k")
    page.wait_for_selector("h1:text-is('motion')")
    key("f")
    assert at() == "What went wrong"
    for _ in range(9):
        key("Tab")
        if at() == made.items[5].name:
            break
    key("Enter")
    page.wait_for_selector(f"h1:text-is('{made.items[5].name}')")
    key("l")
    assert "all torn" in at()
    key("j")
    page.wait_for_selector(f"h1:text-is('{made.items[6].name}')")
    key("Escape")
    page.wait_for_selector("h1:text-is('motion')")
    key("/")
    page.keyboard.type("00003")
    until(page, "document.querySelectorAll('.items tbody tr').length === 1")
    key("Escape")
    key("?")
    assert page.get_by_role("dialog").is_visible()
    key("Escape")
    assert not page.get_by_role("dialog").is_visible()
    key("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(open_panel, visit, made: SyntheticJob, tmp_path: Path, scheme: str) -> None:
    panel = open_panel(made.job.folder.parent)
    page = visit(panel, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    job = id_of(panel, made.job)
    pictures = Path(os.environ.get("PYPCORE_PICTURES", tmp_path))
    for name, place in {"list": "", "job": job, "item": f"{job}/item/0"}.items():
        page.evaluate(f"location.hash = '#/{place}'")
        page.wait_for_selector(".card" if name == "list" else "h1")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        page.screenshot(path=pictures / f"phone-{scheme}-{name}.png")
    assert page.locator("img.picture").evaluate("image => image.complete && image.naturalWidth") == 1200


def test_the_page_itself_does_not_scroll_its_parts_do(open_panel, visit, made: SyntheticJob) -> None:
    page = visit(open_panel(made.job.folder.parent))
    page.wait_for_selector(".items tbody tr")
    page.evaluate("document.getElementById('items').scrollIntoView()")
    page.evaluate("document.documentElement.scrollTop = document.body.scrollTop = 500")
    assert page.evaluate("document.querySelector('.top').getBoundingClientRect().top") == 0


def test_script_in_names_messages_and_logs_stays_text(open_panel, visit, tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "jobs" / "<b>job", 2, names=[HOSTILE, "javascript:document.title=3"])
    made.run(ended=True, outcome="failed")
    made.end(0, "failed", HOSTILE, log=made.log(HOSTILE))
    made.end(1, figures={HOSTILE: 1.5, "weights": HOSTILE})
    page = visit(open_panel(tmp_path / "jobs"))
    page.wait_for_selector("h1:text-is('<b>job')")
    page.get_by_role("link", name=HOSTILE).first.click()
    page.wait_for_selector("#log")
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("#log").inner_text() == HOSTILE
    page.keyboard.press("j")
    page.wait_for_selector("h1:has-text('javascript:')")
    assert page.locator("main img, main script, main b").count() == 0
    assert page.evaluate("document.scripts.length") == 1
    assert page.title().endswith("pypcore")


def test_everything_that_can_be_pressed_has_a_name(open_panel, visit, made: SyntheticJob) -> None:
    page = visit(open_panel(made.job.folder.parent))
    page.wait_for_selector(".items tbody tr")
    nameless = """[...document.querySelectorAll('a, button, input, svg[role=img]')].filter(one =>
        !one.textContent.trim() && !one.getAttribute('aria-label') && !one.labels?.length)"""
    assert page.evaluate(f"{nameless}.map(one => one.outerHTML)") == []


def test_another_site_in_the_same_browser_learns_nothing(open_panel, visit, made: SyntheticJob, tmp_path: Path) -> None:
    panel = open_panel(made.job.folder.parent)
    page = visit(panel, heed=False)  # the browser itself complains
    page.goto("about:blank")
    page.set_content("<p>another page</p>")
    ask = "fetch('http://{}/api/jobs', {{credentials: 'include'}}).then(() => 'told', () => 'refused')"
    answers = []
    page.on("response", lambda answer: answers.append(answer.status))
    assert page.evaluate(ask.format(panel.host)) == "refused"
    assert 200 not in answers
