"""Lines of records with their place in the file, and of most of them only what folding asks: a parser for an index."""

import contextlib
import json
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pypcore import records
from pypcore.records import Record

_DONE_LINE = re.compile(
    rb'\{"event":"end","item":(\d+),"name":"[^"\\{}]*","params":"([^"\\{}]*)","size":(\d+),"mtime_ns":(-?\d+),'
    rb'"time":(\d+\.?\d*),"outcome":"done","message":"",'
)
BEGIN_LINE, END_LINE = b'{"event":"begin"', b'{"event":"end"'


def checksum(source: BinaryIO, count: int) -> int:
    """Read ``count`` bytes from the start of ``source``; return their checksum, of fewer where there are fewer."""
    crc = 0
    while count and (data := source.read(min(count, 1 << 20))):
        crc = zlib.crc32(data, crc)
        count -= len(data)
    return crc


def heads(lines: list[tuple[int, bytes]]) -> Iterator[tuple[int, Record]]:
    """Yield each line's offset and what the fold asks of its record, in any order; parse only what has to be.

    Nearly all lines are of items that are done and begin alike. A line that was torn has an open brace too many: it
    can't pass for whole, as the texts before the figures have none.
    """
    others = []
    for offset, line in lines:
        match = _DONE_LINE.match(line)
        if match and b'"of":' not in line and line.endswith(b"}\n") and line.count(b"{") == line.count(b"}"):
            item, digest, size, mtime_ns, when = match.groups()
            record: Record = {"event": "end", "item": int(item), "params": digest.decode(), "size": int(size)}
            yield offset, {**record, "mtime_ns": int(mtime_ns), "time": float(when), "outcome": records.DONE}
        else:
            others.append((offset, line))
    yield from parse(others)


def parse(lines: list[tuple[int, bytes]]) -> Iterator[tuple[int, Record]]:
    """Yield each line's offset and value, those that were torn by a full disk left out."""
    try:
        parsed = json.loads(b"[" + b",".join(line for _, line in lines) + b"]")
        yield from ((offset, record) for (offset, _), record in zip(lines, parsed, strict=True))
    except ValueError:
        for offset, line in lines:
            with contextlib.suppress(ValueError):
                yield offset, json.loads(line)
