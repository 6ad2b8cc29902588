"""Paths in tables as RELION finds them; light, as Merge needs little else."""

from pathlib import Path

from pypcore.operation import Context


def in_project(path: Path, context: Context) -> str:
    """Return a path as RELION, started where the job was, finds it; one in the job by the job's name as given."""
    if path.is_relative_to(context.job):
        return f"{context.job_as_given}/{path.relative_to(context.job)}"
    return context.as_given(path)
