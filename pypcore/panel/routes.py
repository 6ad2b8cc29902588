"""What the panel answers: a table of paths, each with what it returns as JSON or as a picture.

A job is named by an id, an item by its number, a picture by the kind of product: no path comes from a request.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pypcore.errors import UsageError
from pypcore.inside import inside
from pypcore.panel.control import Control
from pypcore.panel.jobs import Jobs
from pypcore.records import OUTCOMES, RUNNING, WAITING
from pypcore.view.job_view import JobView
from pypcore.view.pictures import picture, thumbnail
from pypcore.view.plain import to_json

THUMBNAILS = 512  # kept
_TRUE = "1"


@dataclass(frozen=True)
class Answer:
    """What is sent back. ``body`` is whole; ``kind`` its MIME type."""

    body: bytes
    kind: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Missing(Exception):
    """Nothing is there: 404."""


def as_json(value: Any, status: int = 200) -> Answer:
    """Return plain values as an answer."""
    return Answer(to_json(value).encode(), status=status)


Query = Mapping[str, list[str]]


class Routes:
    """Answers the requests that are let through."""

    def __init__(self, jobs: Jobs, csrf: str, control: Control | None) -> None:
        self.jobs, self.csrf, self.control = jobs, csrf, control
        self._get: list[tuple[re.Pattern[str], Callable[..., Answer]]] = [
            (re.compile(r"/api/session"), self._session),
            (re.compile(r"/api/jobs"), self._list),
            (re.compile(r"/api/jobs/([0-9a-f]{12})"), self._job),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/items"), self._items),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/items/(\d{1,9})"), self._item),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/items/(\d{1,9})/(picture|small)/([\w.-]{1,60})"), self._picture),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/figures"), self._figures),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/figures/([\w.-]{1,100})"), self._figure),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/resources"), self._resources),
            (re.compile(r"/api/jobs/([0-9a-f]{12})/request"), self._request),
        ]

    def get(self, path: str, query: Query) -> Answer:
        """Answer a question; Missing for a path that is none, UsageError with what is wrong with it."""
        for pattern, answer in self._get:
            if match := pattern.fullmatch(path):
                return answer(query, *match.groups())
        raise Missing

    def post(self, path: str, wanted: dict[str, Any]) -> Answer:
        """Do what is asked to a job; the caller has seen to it that it may be."""
        match = re.fullmatch(r"/api/jobs/([0-9a-f]{12})/(cancel|resume)", path)
        if match is None or self.control is None:
            raise Missing
        job = self.jobs.view(match[1]).job
        said = self.control.cancel(job, wanted) if match[2] == "cancel" else self.control.resume(job, wanted)
        self.jobs.look_soon(match[1])
        return as_json({"said": said})

    # -- answers

    def _session(self, query: Query) -> Answer:
        told = {"pypcore": version("pypcore"), "folders": [str(folder) for folder in self.jobs.folders]}
        return as_json({**told, "control": self.control is not None, "token": self.csrf})

    def _list(self, query: Query) -> Answer:
        self.jobs.look()
        return as_json({"jobs": self.jobs.cards()})

    def _job(self, query: Query, job: str) -> Answer:
        return as_json({**self._view(job).everything(), "id": job})

    def _items(self, query: Query, job: str) -> Answer:
        outcomes = [one for one in query.get("outcome", []) if one in (*OUTCOMES, RUNNING, WAITING)]
        return as_json(
            self._view(job).rows(
                outcomes=outcomes,
                text=_first(query, "text")[:200],
                sort=_first(query, "sort")[:100],
                descending=_first(query, "descending") == _TRUE,
                offset=_number(query, "offset", 0),
                limit=_number(query, "limit", 100),
            )
        )

    def _item(self, query: Query, job: str, item: str) -> Answer:
        return as_json(self._view(job).item(int(item)))

    def _picture(self, query: Query, job: str, item: str, how: str, kind: str) -> Answer:
        view = self._view(job)
        path = _product(view, int(item), kind)
        if how == "small":
            small = _thumbnail(path, path.stat().st_mtime_ns)
            if small is None:
                raise Missing
            return Answer(small, "image/webp", headers={"Cache-Control": "private, max-age=600"})
        whole = picture(path)
        if whole is None:
            raise Missing
        return Answer(*whole)

    def _figures(self, query: Query, job: str) -> Answer:
        return as_json(self._view(job).figures())

    def _figure(self, query: Query, job: str, name: str) -> Answer:
        return as_json(self._view(job).figure(name, by=_first(query, "by") or "time"))

    def _resources(self, query: Query, job: str) -> Answer:
        return as_json(self._view(job).resources())

    def _request(self, query: Query, job: str) -> Answer:
        return as_json(self._view(job).request())

    def _view(self, job: str) -> JobView:
        try:
            return self.jobs.view(job)
        except UsageError:
            self.jobs.look()  # it may be newer than the last look
            return self.jobs.view(job)


def _product(view: JobView, item: int, kind: str) -> Path:
    """Return the file of an item's product; Missing unless it lies in the job's folder."""
    with view.lock:
        if item >= len(view.known.items):
            raise Missing
        named = (view.known.states[item].record or {}).get("products", {}).get(kind)
    path = inside(view.job.folder, str(named[0])) if named else None
    if path is None:
        raise Missing
    return path


@lru_cache(THUMBNAILS)
def _thumbnail(path: Path, mtime_ns: int) -> bytes | None:
    return thumbnail(path)


def _first(query: Query, name: str) -> str:
    return query.get(name, [""])[0]


def _number(query: Query, name: str, default: int) -> int:
    text = _first(query, name)
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else default
