"""A report as one HTML page: everything inline, nothing fetched, all of the job's texts inert."""

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pypcore.products import whole
from pypcore.report.contents import Contents, gather
from pypcore.view.job_view import JobView

PICTURES = 60
FIRST = 100  # items that are in the page itself, as a table
MARK = '<meta name="generator" content="pypcore report">'


def write_report(folder: Path, output: Path, pictures: int = PICTURES) -> Path:
    """Write the report of the job in ``folder`` to ``output``, with pictures of at most so many items in it.

    The job may be going on. UsageError where ``folder`` is no job.
    """
    page = render(gather(JobView(folder), pictures))
    with whole(output) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return output


def is_report(path: Path) -> bool:
    """Say whether a file was written by ``write_report``."""
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(1000)
    except OSError:
        return False


def render(contents: Contents) -> str:
    """Return the page.

    Without JavaScript the table of items ends after ``FIRST`` and pictures stay small; all else is there.
    """
    environment = Environment(
        loader=PackageLoader("pypcore.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Read as they are: the templates' syntax is not looked for in them, so that their hashes are those of the files.
    style, script = (
        files(__package__).joinpath("template", name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    items = json.dumps(contents.items, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return environment.get_template("page.html").render(
        contents=contents,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        items=Markup(items),
        svg=Markup,
        shown_without_script=contents.items.get("rows", [])[:FIRST],
    )


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
