"""``python -m bench.panel``: how long the panel takes to open a large job, and what that holds.

Needs Chromium. Times are of the wall, from the link to what is on the screen; the job's records are on disk before.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "view"))  # the jobs that the tests have

from synthetic_job import SyntheticJob

from pypcore.panel.jobs import Jobs
from pypcore.panel.server import Server


def main() -> None:
    """Make a job, open it, print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.panel")
    parser.add_argument("--items", type=int, default=20_000)
    items = parser.parse_args().items
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = SyntheticJob(Path(folder) / "large", items)
        made.run(ended=True, outcome="failed")
        made.many(range(items))
        executable = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        before = resident(browser_processes())
        jobs = Jobs([Path(folder)], 4)
        server = Server(jobs, 0, None, lambda link: None)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began, cpu = time.monotonic(), time.process_time()
        jobs.start()
        page.goto(server.link)
        page.wait_for_selector("h1#title")
        told = [("the job is shown", time.monotonic() - began)]
        page.wait_for_selector(".items tbody tr")
        told.append(("its first 50 items", time.monotonic() - began))
        while "still reading" in page.inner_text("body") or not page.locator(".chart.course").count():
            page.wait_for_timeout(20)
        told.append(("all of its figures", time.monotonic() - began))
        for what, seconds in told:
            print(f"{what:28} {seconds:6.2f} s")
        print(f"{'CPU of the panel':28} {time.process_time() - cpu:6.2f} s")
        print(f"{'heap of the page':28} {page.evaluate('performance.memory.usedJSHeapSize') / 1e6:6.1f} MB")
        print(f"{'browser, all processes, more':28} {(resident(browser_processes()) - before) / 1e6:6.1f} MB")
        browser.close()
        jobs.stop()
        server.shutdown()
        server.server_close()


def browser_processes() -> list[psutil.Process]:
    """Return the processes of the browser that this process started."""
    return [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]


def resident(processes: list[psutil.Process]) -> int:
    """Return the memory that processes have to themselves, bytes."""
    return sum(one.memory_full_info().uss for one in processes)


if __name__ == "__main__":
    main()
