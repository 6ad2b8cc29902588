"""An index beside the records, so that the status of a million items is told in a second.

It holds where each item stands and where in the records that is written, and how far every record file has been
read; what was appended since is read on from there. The records stay the truth: a file that changed otherwise than by
growing, another manifest or other parameters make the index be built again from nothing, and what is to be done or
merged is never decided by it. It may be removed at any time.
"""

import contextlib
import hashlib
import json
import os
import struct
import sys
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any, NamedTuple

from pypcore import records
from pypcore.job import Job
from pypcore.jsonlines import BLOCK
from pypcore.manifest import Manifest
from pypcore.products import whole
from pypcore.record_lines import BEGIN_LINE, END_LINE, checksum, heads, parse
from pypcore.records import Record, State

MAGIC = b"pypcore index 1\n"
NAME = ".index"
SAVE_S = 0.5  # it is written again when reading on took longer than writing it does

LOOKERS = 16

_BEGUN = "begun"  # not ended: running or lost, by whether its attempt lives
OUTCOMES = (records.WAITING, *records.OUTCOMES, records.RUNNING, _BEGUN, records.SUMMED)
NOTHING = (-1.0, "", -1)  # before every record
CODE = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Begin(NamedTuple):
    """A begin that nothing follows yet in its file."""

    item: int
    time: float
    offset: int


class _Held(NamedTuple):
    offset: int
    crc: int  # of what is before it
    line: bytes


@dataclass
class RecordFile:
    """A record file and how far it was read: ``offset`` bytes, whose checksum is ``crc``."""

    name: str
    size: int = -1
    mtime_ns: int = 0
    offset: int = 0
    crc: int = 0
    begin: Begin | None = None

    @property
    def attempt(self) -> str:
        """The attempt that wrote it."""
        return self.name.removesuffix(".jsonl")

    @property
    def order(self) -> tuple[float, str, int]:
        """Where its begin stands among the records of its item."""
        return (self.begin.time, self.name, self.begin.offset) if self.begin else NOTHING


@dataclass
class Standing:
    """Where each item stands now: ``codes`` of the outcomes, and the begins at the ends of files.

    ``begins`` has the file of the begin by which an item stands as it does, ``begun`` counts all of them.
    """

    codes: bytearray
    begins: dict[int, RecordFile] = field(default_factory=dict)
    begun: Counter[int] = field(default_factory=Counter)


class Stale(Exception):
    """The index doesn't fit the records, or can't be read: it has to be built again."""


@dataclass
class RecordIndex:
    """Where each item of a job stands under the request ``digest``; arrays have one element an item."""

    digest: str
    manifest: Manifest
    outcomes: bytearray
    attempts: "array[int]"
    times: "array[float]"
    """Of the record that says where the item stands, as are the next two."""
    numbers: "array[int]"
    """Of its file, in ``files``."""
    offsets: "array[int]"
    files: list[RecordFile] = field(default_factory=list)
    merge: Record | None = None
    what_is_done: str = ""
    """Names the set of finished items, as ``merge.what_is_done``; empty where not computed since it changed."""
    changed: bool = True

    @classmethod
    def of(cls, job: Job, digest: str, before: "RecordIndex | None" = None) -> "RecordIndex":
        """Return the index of ``job`` as its records are now: read on (that of ``before``, if any), or built again."""
        try:
            index = before._again(job, digest) if before else cls._load(job, digest)
            began = time.monotonic()
            index._read_on(job)
        except (Stale, FileNotFoundError):
            began = time.monotonic()
            index = cls._empty(job, digest)
            index._read_on(job)
        if index.changed and time.monotonic() - began > SAVE_S:
            index.save(job)
        return index

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.outcomes)

    # -- what it knows

    def now(self, alive: Callable[[str], bool]) -> Standing:
        """Return where every item stands; ``alive`` says whether an attempt goes on."""
        now = Standing(bytearray(self.outcomes))
        for item in compress(range(len(self)), self.outcomes.translate(mask(_BEGUN))):
            now.codes[item] = _in_hand(alive(self.files[self.numbers[item]].attempt))
        for item in compress(range(len(self)), self.outcomes.translate(mask(records.SUMMED))):
            living = alive(self.files[self.numbers[item]].attempt)
            now.codes[item] = CODE[records.RUNNING if living else records.WAITING]
        for file in self.files:
            if file.begin is None:
                continue
            item = file.begin.item
            now.begun[item] += 1
            before = now.begins[item].order if item in now.begins else self._order(item)
            if self.outcomes[item] != CODE[records.DONE] and file.order > before:
                now.begins[item], now.codes[item] = file, _in_hand(alive(file.attempt))
        return now

    def state(self, job: Job, item: int, now: Standing) -> State:
        """Return where ``item`` stands, with its record read from its file."""
        outcome, attempts = OUTCOMES[now.codes[item]], self.attempts[item] + now.begun[item]
        if outcome == records.WAITING:
            return State(attempts=attempts)
        file, offset = self.files[self.numbers[item]], self.offsets[item]
        if (begun := now.begins.get(item)) and begun.begin:
            file, offset = begun, begun.begin.offset
        return State(outcome, _read_record(job, file, offset), attempts)

    def name_what_is_done(self, job: Job) -> str:
        """Name the set of finished items and attempts, as ``merge.what_is_done`` does from their records."""
        if not self.what_is_done:
            began, digest = time.monotonic(), hashlib.sha256()
            names = [file.attempt for file in self.files]
            done = compress(range(len(self)), self.outcomes.translate(mask(records.DONE)))
            while some := list(islice(done, BLOCK)):
                digest.update("".join(f"{i}:{names[self.numbers[i]]}:{self.times[i]};" for i in some).encode())
            self.what_is_done = digest.hexdigest()[:16]
            if time.monotonic() - began > SAVE_S:
                self.save(job)
        return self.what_is_done

    # -- reading on

    def _again(self, job: Job, digest: str) -> "RecordIndex":
        """Return this where the job still has the same items and parameters; Stale else."""
        manifest = self.manifest.still(job)
        if manifest is None or digest != self.digest:
            raise Stale
        self.manifest = manifest
        return self

    def _read_on(self, job: Job) -> None:
        """Read what was appended since; Stale where anything else happened to the records."""
        known = {file.name: file for file in self.files}
        found = [entry for entry in os.scandir(job.records) if entry.name.endswith(".jsonl")]
        if len(found) < len(known) or known.keys() - {entry.name for entry in found}:
            raise Stale
        numbers = {file.name: number for number, file in enumerate(self.files)}
        for entry, stat in zip(found, _stats(found), strict=True):
            file = known.get(entry.name)
            if file is None:
                file = RecordFile(entry.name)
                numbers[entry.name] = len(self.files)
                self.files.append(file)
            if (stat.st_size, stat.st_mtime_ns) != (file.size, file.mtime_ns):
                self._read_file(job, numbers[entry.name])
                file.size, file.mtime_ns = stat.st_size, stat.st_mtime_ns
                self.changed = True

    def _read_file(self, job: Job, number: int) -> None:
        file = self.files[number]
        with (job.records / file.name).open("rb") as source:
            # What was read before must still be there; a file that was edited or put in its place has another sum.
            if checksum(source, file.offset) != file.crc:
                raise Stale
            at, crc, file.begin = file.offset, file.crc, None
            held: _Held | None = None  # a begin waits for the next line: its end, mostly, which says all
            while block := list(islice(source, BLOCK)):
                if not block[-1].endswith(b"\n"):
                    block.pop()
                wanted: list[tuple[int, bytes]] = []
                for line in block:
                    if held and not line.startswith(END_LINE):
                        wanted.append((held.offset, held.line))
                    held = _Held(at, crc, line) if line.startswith(BEGIN_LINE) else None
                    if not held:
                        wanted.append((at, line))
                    at += len(line)
                    crc = zlib.crc32(line, crc)
                for offset, record in heads(wanted):
                    self._take(record, number, offset)
        file.offset, file.crc = at, crc
        if held:  # it is read again when something follows it
            file.offset, file.crc = held.offset, held.crc
            for offset, record in parse([(held.offset, held.line)]):
                if self._counts(record):
                    file.begin = Begin(record["item"], float(record["time"]), offset)

    def _counts(self, record: Record) -> bool:
        """Say whether a record is of an item of this manifest, as its file is, under this request."""
        item = record.get("item")
        if item is None or item >= len(self):
            return False
        made_from = (record.get("params"), record.get("size"), record.get("mtime_ns"))
        return made_from == (self.digest, self.manifest.sizes[item], self.manifest.mtimes[item])

    def _take(self, record: Record, number: int, offset: int) -> None:
        """Fold one record, as ``records.fold`` does, in whatever order the files are read."""
        if record["event"] == "merge":
            if self.merge is None or record["time"] > self.merge["time"]:
                self.merge = {**record, "attempt": self.files[number].attempt}
            return
        if not self._counts(record):
            return
        item: int = record["item"]
        self.attempts[item] += "of" not in record
        code, done = CODE[record.get("outcome") or _BEGUN], CODE[records.DONE]
        name, when = self.files[number].name, float(record["time"])
        if self.outcomes[item] == done:
            _, before, at = self._order(item)
            newer = code == done and (name, offset) > (before, at)
        else:
            newer = code == done or (when, name, offset) > self._order(item)
        if newer:
            if done in (code, self.outcomes[item]):
                self.what_is_done = ""
            self.outcomes[item], self.times[item] = code, when
            self.numbers[item], self.offsets[item] = number, offset

    def _order(self, item: int) -> tuple[float, str, int]:
        if self.outcomes[item] == CODE[records.WAITING]:
            return NOTHING
        return self.times[item], self.files[self.numbers[item]].name, self.offsets[item]

    # -- on disk

    def save(self, job: Job) -> None:
        """Write the index; where that can't be done (another's folder, a full disk) the next one reads more."""
        blobs = [bytes(column) for column in self._columns()]
        header = {
            "order": sys.byteorder,
            "digest": self.digest,
            "manifest": [self.manifest.size, self.manifest.mtime_ns, self.manifest.sha],
            "files": [list(vars(file).values()) for file in self.files],
            "merge": self.merge,
            "what_is_done": self.what_is_done,
            "items": len(self),
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        body = b"".join([struct.pack("<Q", len(text)), text, *blobs])
        with contextlib.suppress(OSError), whole(job.records / NAME, lasting=False) as temporary:
            temporary.write_bytes(MAGIC + struct.pack("<I", zlib.crc32(body)) + body)
            self.changed = False

    def _columns(self) -> tuple[Any, ...]:
        manifest = self.manifest
        own = (self.outcomes, self.attempts, self.times, self.numbers, self.offsets)
        return (*own, manifest.offsets, manifest.sizes, manifest.mtimes)

    @classmethod
    def _load(cls, job: Job, digest: str) -> "RecordIndex":
        try:
            data = memoryview((job.records / NAME).read_bytes())
            start = len(MAGIC)
            if data[:start] != MAGIC or struct.unpack_from("<I", data, start)[0] != zlib.crc32(data[start + 4 :]):
                raise Stale
            (length,) = struct.unpack_from("<Q", data, start + 4)
            at = start + 12 + length
            header = json.loads(bytes(data[start + 12 : at]))
        except (OSError, ValueError, struct.error):
            raise Stale from None
        if (header["order"], header["digest"]) != (sys.byteorder, digest):
            raise Stale
        manifest = Manifest(*header["manifest"]).still(job)
        if manifest is None:
            raise Stale
        index = cls._blank(digest, manifest, header["items"])
        for column in index._columns():
            wide = header["items"] * getattr(column, "itemsize", 1)
            part = data[at : at + wide]
            if isinstance(column, bytearray):
                column[:] = part
            else:
                del column[:]
                column.frombytes(part)
            at += wide
        for name, size, mtime_ns, offset, crc, begin in header["files"]:
            index.files.append(RecordFile(name, size, mtime_ns, offset, crc, Begin(*begin) if begin else None))
        index.merge, index.what_is_done, index.changed = header["merge"], header["what_is_done"], False
        return index

    @classmethod
    def _empty(cls, job: Job, digest: str) -> "RecordIndex":
        """Return an index that has read the manifest and no record."""
        manifest = Manifest.read(job)
        return cls._blank(digest, manifest, len(manifest.offsets))

    @classmethod
    def _blank(cls, digest: str, manifest: Manifest, items: int) -> "RecordIndex":
        def zeros(kind: str) -> "array[Any]":
            return array(kind, bytes(items * array(kind).itemsize))

        return cls(digest, manifest, bytearray(items), zeros("I"), zeros("d"), zeros("I"), zeros("Q"))


def _stats(entries: "list[os.DirEntry[str]]") -> list[os.stat_result]:
    """Look at files, many at the same time: on a shared file system a stat is mostly waiting."""
    if len(entries) < LOOKERS:
        return [entry.stat() for entry in entries]
    size = -(-len(entries) // LOOKERS)
    parts = (entries[first : first + size] for first in range(0, len(entries), size))
    with ThreadPoolExecutor(LOOKERS) as pool:
        return [stat for part in pool.map(lambda some: [entry.stat() for entry in some], parts) for stat in part]


def _in_hand(living: bool) -> int:
    return CODE[records.RUNNING if living else records.LOST]


def mask(*outcomes: str) -> bytes:
    """Return a table for ``bytes.translate`` that makes these outcomes 1 and all others 0."""
    codes = {CODE[outcome] for outcome in outcomes}
    return bytes(code in codes for code in range(256))


def _read_record(job: Job, file: RecordFile, offset: int) -> Record:
    with (job.records / file.name).open("rb") as source:
        source.seek(offset)
        record: Record = json.loads(source.readline())
    record["attempt"] = file.attempt
    return record
