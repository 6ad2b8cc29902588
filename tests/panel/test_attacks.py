"""Who may not ask is refused, and what names and logs hold stays text."""

import json
import re
import socket
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from panel_ids import id_of
from synthetic_job import SyntheticJob

from pypcore.panel.control import Control
from pypcore.panel.guard import CSRF

SECRET = "root:x:0:0"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is nobody's business, beside the jobs."""
    path = tmp_path / "secret.png"
    path.write_text(SECRET)
    return path


def test_without_the_link_nothing_is_told(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent, enter=False)
    for path in ("/", "/app.js", "/panel.css", "/api/jobs", "/api/session", "/api/events", "/nothing"):
        status, headers, body = panel.ask(path)
        assert status == 403, path
        assert "Set-Cookie" not in headers
        assert b"motion" not in body


@pytest.mark.parametrize("cookie", ["{name}=", "{name}=guess", "other=1", "{name}=\xe4", ";;;=", "{name}={csrf}"])
def test_a_cookie_that_was_not_given_opens_nothing(open_panel, made: SyntheticJob, cookie: str) -> None:
    panel = open_panel(made.job.folder.parent, enter=False)
    guard = panel.server.guard
    given = cookie.format(name=guard.cookie, csrf=guard.csrf)
    assert panel.ask("/api/jobs", {"Cookie": given})[0] == 403


def test_a_link_works_once_and_the_next_one_is_another(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent, enter=False)
    link = panel.server.link.partition(panel.host)[2]
    status, headers, _ = panel.ask(link)
    assert status == 200
    assert re.fullmatch(
        rf"{panel.server.guard.cookie}=[\w-]{{43}}; HttpOnly; SameSite=Strict; Path=/", headers["Set-Cookie"]
    )
    assert panel.ask(link)[0] == 403
    assert panel.ask("/?token=")[0] == 403
    assert panel.links == [panel.server.link]
    assert link not in panel.server.link


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8465", "127.0.0.1.evil.example", "10.0.0.1", "localhost@evil.example", "[::1", ""],
)
def test_another_host_is_refused_even_with_the_cookie(open_panel, made: SyntheticJob, host: str) -> None:
    assert open_panel(made.job.folder.parent).ask("/api/jobs", {"Host": host})[0] == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:1234", "[::1]:8465", "localhost"])
def test_a_tunnel_of_another_port_is_let_through(open_panel, made: SyntheticJob, host: str) -> None:
    assert open_panel(made.job.folder.parent).ask("/api/jobs", {"Host": host})[0] == 200


def test_two_hosts_are_refused(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent)
    with socket.create_connection(("127.0.0.1", panel.port)) as raw:
        raw.sendall(
            f"GET /api/jobs HTTP/1.1\r\nHost: {panel.host}\r\nHost: evil\r\nCookie: {panel.cookie}\r\n\r\n".encode()
        )
        assert b" 421 " in raw.recv(200)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # a page of another port of this machine
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
def test_another_page_may_not_ask(open_panel, made: SyntheticJob, headers: dict[str, str]) -> None:
    panel = open_panel(made.job.folder.parent)
    for path in ("/", "/api/jobs", "/api/session"):
        assert panel.ask(path, headers)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.png",
        "/%2e%2e/secret.png",
        "/..%2fsecret.png",
        "//secret.png",
        "/page/../server.py",
        "/server.py",
        "/__init__.py",
        "/api/jobs/../../secret.png",
        "/api/jobs/{id}/../../../secret.png",
        "/api/jobs/{id}/items/0/picture/..%2f..%2fsecret.png",
        "/api/jobs/{id}/items/0/picture/../../secret.png",
        "/api/jobs/{id}/items/-1",
        "/api/jobs/{id}/items/99999999999",
        "/api/jobs/{id}/items/٣",
        "/api/jobs/000000000000",
        "/\0",
    ],
)
def test_no_path_leads_out(open_panel, made: SyntheticJob, secret: Path, path: str) -> None:
    panel = open_panel(made.job.folder.parent)
    raw = path.format(id=id_of(panel, made.job)).encode()
    with socket.create_connection(("127.0.0.1", panel.port), timeout=20) as sent:
        head = f"Host: {panel.host}\r\nCookie: {panel.cookie}\r\nConnection: close\r\n\r\n"
        sent.sendall(b"GET " + raw + b" HTTP/1.1\r\n" + head.encode())
        answer = b"".join(iter(lambda: sent.recv(65536), b""))
    assert re.match(rb"HTTP/1\.[01] (400|404) ", answer), answer[:200]
    assert SECRET.encode() not in answer


@pytest.mark.parametrize("how", ["absolute", "up", "link", "folder link", "not a picture"])
def test_a_record_that_names_another_file_gives_nothing(open_panel, made: SyntheticJob, secret: Path, how: str) -> None:
    folder = made.job.folder
    (folder / "link.png").symlink_to(secret)
    (folder / "out").symlink_to(secret.parent)
    (folder / "words.txt").write_text(SECRET)
    places = {"absolute": str(secret), "up": "../../secret.png", "link": "link.png", "folder link": "out/secret.png"}
    place = places.get(how, "words.txt")
    made.end(7, products={"picture": [place, 10]}, log=[place if how != "not a picture" else "../../secret.png", 0, 10])
    panel = open_panel(folder.parent)
    job = id_of(panel, made.job)
    for kind in ("picture", "small"):
        status, _, body = panel.ask(f"/api/jobs/{job}/items/7/{kind}/picture")
        assert (status, SECRET.encode() in body) == (404, False)
    assert panel.get(f"/api/jobs/{job}/items/7")["log"] == ""


def test_a_linked_folder_is_no_job_of_ours(open_panel, made: SyntheticJob, tmp_path: Path) -> None:
    elsewhere = SyntheticJob(tmp_path / "elsewhere", 1)
    (made.job.folder.parent / "link").symlink_to(elsewhere.job.folder)
    assert [one["name"] for one in open_panel(made.job.folder.parent).get("/api/jobs")["jobs"]] == ["motion"]


def test_every_answer_has_the_headers_that_hold_a_browser_back(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent)
    job = id_of(panel, made.job)
    paths = ("/", "/app.js", "/nothing", "/api/jobs", f"/api/jobs/{job}/items/0/picture/picture", "/?token=wrong")
    for path in paths:
        for cookie in (panel.cookie, ""):
            headers = panel.ask(path, {"Cookie": cookie})[1]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "Access-Control-Allow-Origin" not in headers


def test_the_page_has_no_inline_script_and_makes_no_markup_of_texts() -> None:
    page = files("pypcore.panel") / "page"
    html = (page / "index.html").read_text()
    assert re.findall(r"<script[^>]*>(?!</script>)|\son\w+=|style=|javascript:|https?://", html) == []
    for file in page.iterdir():
        if file.name.endswith(".js"):
            markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
            assert re.findall(markup, file.read_text()) == [], file.name


class Began:
    """Stands for starting ``pypcore resume``."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(self, job: Any, options: Any) -> None:
        self.commands.append([str(job.folder), *options])


def post(panel: Any, path: str, wanted: Any, **headers: str) -> int:
    own = {"Origin": f"http://{panel.host}", CSRF: panel.get("/api/session")["token"], **headers}
    status: int = panel.ask(path, own, "POST", json.dumps(wanted))[0]
    return status


def test_a_panel_that_only_shows_changes_nothing(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent)
    assert post(panel, f"/api/jobs/{id_of(panel, made.job)}/cancel", {}) == 403
    assert not made.job.cancel_file.exists()


def test_a_change_needs_the_token_and_our_own_page(open_panel, made: SyntheticJob) -> None:
    began = Began()
    panel = open_panel(made.job.folder.parent, control=Control(began))
    path = f"/api/jobs/{id_of(panel, made.job)}/resume"
    assert post(panel, path, {}, **{CSRF: ""}) == 403
    assert post(panel, path, {}, **{CSRF: "guess"}) == 403
    assert post(panel, path, {}, Origin="") == 403
    assert post(panel, path, {}, Origin="http://evil.example") == 403
    assert post(panel, path, {}, **{"Sec-Fetch-Site": "same-site"}) == 403
    assert panel.ask(path, {"Cookie": ""}, "POST", "{}")[0] == 403
    assert panel.ask(path)[0] == 404  # a question changes nothing
    assert began.commands == []
    assert post(panel, path, {"retry_failed": True, "memory": "6"}) == 200
    assert began.commands == [[str(made.job.folder), "--retry-failed", "--memory", "6"]]


@pytest.mark.parametrize(
    "wanted", [{"memory": "6; rm -rf /"}, {"memory": "--on-done"}, {"on_done": "x"}, {"walltime": 3}, ["x"], "x"]
)
def test_only_options_of_resume_that_are_right_are_passed_on(open_panel, made: SyntheticJob, wanted: Any) -> None:
    began = Began()
    panel = open_panel(made.job.folder.parent, control=Control(began))
    assert post(panel, f"/api/jobs/{id_of(panel, made.job)}/resume", wanted) == 409
    assert began.commands == []


def test_cancel_asks_the_run_to_stop(open_panel, tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "jobs" / "motion", 2)
    made.run()
    began = Began()
    panel = open_panel(tmp_path / "jobs", control=Control(began))
    job = id_of(panel, made.job)
    assert post(panel, f"/api/jobs/{job}/resume", {}) == 409  # it runs
    assert post(panel, f"/api/jobs/{job}/cancel", {"now": True}) == 200
    assert made.job.cancel_file.read_text() == "now\n"
    assert began.commands == []


def test_a_request_without_end_is_refused(open_panel, made: SyntheticJob) -> None:
    panel = open_panel(made.job.folder.parent, control=Control(Began()))
    own = {"Origin": f"http://{panel.host}", CSRF: panel.server.guard.csrf, "Content-Length": "10000000"}
    assert panel.ask(f"/api/jobs/{id_of(panel, made.job)}/resume", own, "POST")[0] == 409
