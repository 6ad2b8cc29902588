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

    ``wanted`` may take lines out of a block before they are parsed.
    """
    with path.open("rb") as file:
        while block := list(islice(file, BLOCK)):
            if not block[-1].endswith(b"\n"):
                block.pop()
            yield from _parse(wanted(block) if wanted else block)


def _parse(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    try:
        yield from json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue
