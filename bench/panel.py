"""``python -m bench.panel``: what the panel takes to open a large job, beside one of 20 items.

Needs Chromium. From the panel's start to what is on the screen, and the same page opened once more; wall time says
little on a machine that does other things, so the CPU time of the panel and of the browser is told too. The memory is
what the browser's processes have to themselves, and the heap of the page.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "view"))  # the jobs that the tests have

from synthetic_job import SyntheticJob

from pypcore.panel.jobs import Jobs
from pypcore.panel.server import Server

SMALL = 20
ROWS = ("shown: wall, s", "shown: CPU of the panel, s", "shown: CPU of the browser, s", "figures: wall, s")
ROWS += ("figures: CPU of the panel, s", "heap of the page, MB", "browser, MB", "opened once more: wall, s")


def main() -> None:
    """Open both jobs, each in a browser of its own, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.panel")
    parser.add_argument("--items", type=int, default=20_000)
    sizes = (SMALL, parser.parse_args().items)
    columns = [measure(items) for items in sizes]
    print(f"{'':32}" + "".join(f"{items:>8} items" for items in sizes))
    for name, *values in zip(ROWS, *columns, strict=True):
        print(f"{name:32}" + "".join(f"{value:>14.2f}" for value in values))


def measure(items: int) -> list[float]:
    """Return the figures of ROWS for a job of so many items."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = SyntheticJob(Path(folder) / "job", items)
        made.run(ended=True, outcome="failed")
        made.many(range(items))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        jobs = Jobs([Path(folder)], 4)
        server = Server(jobs, 0, None, lambda link: None)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return _open(page, server, jobs)
        finally:
            browser.close()
            jobs.stop()
            server.shutdown()
            server.server_close()


def _open(page: Any, server: Server, jobs: Jobs) -> list[float]:
    wall, own, theirs = time.monotonic(), time.process_time(), cpu_of_browser()
    jobs.start()
    page.goto(server.link)
    page.wait_for_selector(".items tbody tr")
    told = [time.monotonic() - wall, time.process_time() - own, cpu_of_browser() - theirs]
    while "still reading" in page.inner_text("body") or not page.locator(".chart.course").count():
        page.wait_for_timeout(20)
    told += [time.monotonic() - wall, time.process_time() - own]
    memory = sum(one.memory_full_info().uss for one in browser_processes())
    told += [page.evaluate("performance.memory.usedJSHeapSize") / 1e6, memory / 1e6]
    again = page.context.new_page()
    wall = time.monotonic()
    again.goto(page.url)
    again.wait_for_selector(".items tbody tr")
    return [*told, time.monotonic() - wall]


def browser_processes() -> list[psutil.Process]:
    """Return the processes of the browser that this process started."""
    return [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]


def cpu_of_browser() -> float:
    """Return the CPU seconds of the browser so far."""
    return sum(sum(one.cpu_times()[:2]) for one in browser_processes())


if __name__ == "__main__":
    main()
