"""What tests of the panel share."""

from typing import Any

from pypcore.job import Job


def id_of(panel: Any, job: Job) -> str:
    """Return the id by which a panel knows a job."""
    return next(one["id"] for one in panel.get("/api/jobs")["jobs"] if one["folder"] == str(job.folder.resolve()))
