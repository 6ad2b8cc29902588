"""The report: one file that holds everything, asks for nothing, and is not harmed by what a job's texts say."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_job import SyntheticJob
from typer.testing import CliRunner

from pypcore.cli.main import app
from pypcore.errors import UsageError
from pypcore.report.contents import gather
from pypcore.report.page import write_report
from pypcore.view.job_view import JobView

EVIL = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Collects what a browser would act on: addresses, elements, text, and the table's data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        found = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
        assert found
        self.items = json.loads(found[1])

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "srcset", "data")]
        assert [name for name, _ in attributes if name.startswith("on") or name == "style"] == []

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SyntheticJob:
    """Forty items: 30 done with pictures, 8 failed of two causes, 2 waiting; names and logs that want to be run."""
    names = [f"mic_{n:03d}{EVIL if n == 3 else ''}" for n in range(40)]
    made = SyntheticJob(tmp_path_factory.mktemp("report") / "a job", 40, names=names, threads=2)
    made.run(ended=True, outcome="failed")
    for n in range(30):
        made.end(n, products={} if n == 3 else made.picture(n))
    for n in range(30, 36):
        made.end(n, "failed", f"raw/{n}.tiff: torn {EVIL}", log=made.log(f"reading {n}\n</pre>{EVIL}\n"))
    made.end(36, "memory", "went over its memory: 9.1 GB of 8 GB", peak_mib=9318.0)
    made.end(37, "memory", "went over its memory: 9.2 GB of 8 GB", peak_mib=9418.0)
    return made


def page_of(made: SyntheticJob, tmp_path: Path, **more) -> tuple[str, Reader]:
    page = write_report(made.job.folder, tmp_path / "report.html", **more).read_text()
    return page, Reader(page)


def test_it_asks_for_nothing_outside_itself(made, tmp_path):
    page, reader = page_of(made, tmp_path)
    assert {address.split(",")[0].split(":")[0] for address in reader.addresses if not address.startswith("#")} == {
        "data"
    }
    assert "default-src 'none'" in page
    for address in reader.addresses:
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in page


def test_what_the_job_says_is_inert(made, tmp_path):
    page, reader = page_of(made, tmp_path)
    assert EVIL not in page
    assert reader.elements.count("script") == 2  # its data and its own
    assert EVIL in reader.text
    assert reader.items["rows"][3][0] == f"mic_003{EVIL}"


def test_it_says_what_the_job_is(made, tmp_path):
    _, reader = page_of(made, tmp_path)
    view = JobView(made.job.folder)
    counts = view.card()["counts"]
    told = [[row[1] for row in reader.items["rows"]].count(outcome) for outcome in counts]
    assert told == list(counts.values())
    for cause in view.failures():
        assert cause["command"] in reader.text
        assert cause["message"] in reader.text
    found = view.efficiency()
    assert found is not None
    assert found.flags in reader.text
    assert shlex.quote(str(made.job.folder)) in reader.text


def test_every_figure_that_differs_is_drawn(made):
    contents = gather(JobView(made.job.folder), 0)
    assert [one["name"] for one in contents.charts][:2] == ["motion_total", "motion_early"]
    for one in contents.charts:
        bars = len(re.findall("<rect", one["histogram"]))
        assert bars == sum(count > 0 for count in one["histogram_counts"])
        assert one["course"].count("h0") == len(one["points"])


def test_of_many_pictures_the_extremes_and_an_even_spread_are_taken(made):
    view = JobView(made.job.folder)
    contents = gather(view, 9)
    assert len(contents.gallery) == 9
    assert contents.gallery_says.startswith("9 of 29 items: 3 with the largest total motion")
    column = view.sheet.figures["motion_total"]
    worst = max(view.sheet.pictures, key=lambda item: column[item])
    assert contents.gallery[0]["name"] == made.items[worst].name
    assert len({one["name"] for one in contents.gallery}) == 9
    assert len(gather(view, 100).gallery) == 29
    assert gather(view, 0).gallery == []


def test_ten_thousand_items_make_a_page_of_a_few_megabytes(tmp_path):
    many = SyntheticJob(tmp_path / "many", 10_000)
    many.run(ended=True, outcome="done")
    many.many(range(10_000))
    page, reader = page_of(many, tmp_path)
    assert len(reader.items["rows"]) == 10_000
    assert len(page) < 3_000_000
    assert reader.elements.count("tr") < 200


def test_a_job_that_has_not_begun_has_a_report_too(tmp_path):
    _, reader = page_of(SyntheticJob(tmp_path / "new", 3), tmp_path)
    assert "3 waiting" in re.sub(r"\s+", " ", reader.text)


def test_the_command_writes_beside_the_job_and_keeps_other_peoples_files(made, tmp_path):
    told = CliRunner().invoke(app, ["report", str(made.job.folder), "--json", "--pictures", "2"])
    path = Path(json.loads(told.output)["report"])
    assert (path, told.exit_code) == (made.job.folder.with_name("a job-report.html"), 0)
    again = CliRunner().invoke(app, ["report", str(made.job.folder), "--pictures", "2"])
    assert again.exit_code == 0
    other = tmp_path / "mine.html"
    other.write_text("mine")
    refused = CliRunner().invoke(app, ["report", str(made.job.folder), "-o", str(other)])
    assert isinstance(refused.exception, UsageError)
    assert "--force" in str(refused.exception)
    assert other.read_text() == "mine"
    assert isinstance(
        CliRunner().invoke(app, ["report", str(made.job.folder), "-o", str(tmp_path)]).exception, UsageError
    )
