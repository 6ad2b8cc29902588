"""Files of one JSON value a line, in ASCII, so that file names of any bytes survive.

Read in blocks: one call of the parser for many lines is twice as fast as one a line.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

BLOCK = 2000  # lines; bounds the memory at a few MB


def read_lines(path: Path, wanted: Callable[[list[bytes]], list[bytes]] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the value of each whole line. A torn last line, and lines torn by a full disk, are left out.

    ``wanted`` may take lines out before they are parsed, but never the last one it is given.
    """
    with path.open("rb") as file:
        held: list[bytes] = []
        while True:
            block = list(islice(file, BLOCK))
            lines = held + block
            if lines and not lines[-1].endswith(b"\n"):
                lines.pop()  # torn: only the last of all can be
            lines = wanted(lines) if wanted else lines
            # The last line waits for the next block: what is wanted of it may hang on the line after it.
            lines, held = (lines[:-1], lines[-1:]) if block else (lines, [])
            yield from _parse(lines)
            if not block:
                return


def _parse(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    try:
        yield from json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue
