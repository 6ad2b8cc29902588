"""``rehearse``: does nothing, with care. For trying resources, limits and a cluster before real work."""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from pypcore import operation
from pypcore.errors import InputError
from pypcore.items import Item, find_files
from pypcore.operation import Context, Done, Result


class Rehearse:
    """Keeps its threads busy and its memory full for a while, and may fail when asked to."""

    name: ClassVar[str] = "rehearse"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Rehearse a job: use threads, memory and time, make nothing of value"

    class Parameters(operation.Parameters):
        """What each task uses."""

        seconds: float = Field(0.0, ge=0, description="How long each item takes, seconds")
        fill: float = Field(0.0, ge=0, description="Memory each task fills, GB")
        busy: bool = Field(False, description="Keep every thread of the task busy meanwhile, not asleep")
        fail: str = Field("", description="Fail items whose name contains this text")
        product: int = Field(0, ge=0, description="Size of a product to write for each item, bytes")

    def needs_gpu(self, params: Parameters) -> bool:
        """Say that no GPU is needed; ask for one with --gres to rehearse that."""
        return False

    def auxiliary(self, params: Parameters) -> list[Path]:
        """There are none."""
        return []

    def discover(self, params: Parameters, inputs: list[str], root: Path) -> list[Path]:
        """Any file is an item."""
        return find_files(inputs, ("",), root)

    def check(self, params: Parameters, items: Sequence[Item]) -> None:
        """Nothing can be wrong."""

    def disk(self, params: Parameters, item: Item) -> int:
        """Return the size of the product."""
        return params.product

    def process(self, item: Item, params: Parameters, context: Context) -> Result:
        """Hold memory and threads for the time asked."""
        if params.fail and params.fail in item.name:
            raise InputError(f"{item.given}: told to fail because its name contains '{params.fail}'")
        held = b"x" * round(params.fill * 2**30)
        figures: dict[str, Any] = {
            "held_mib": len(held) // 2**20,
            "devices": list(context.devices),
            "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES", "not set"),
        }
        if params.busy:
            with_threads(context.threads, params.seconds)
        elif params.seconds:
            _wait(params.seconds, context)
        if not params.product:
            return Result(figures=figures)
        path = context.job / "rehearsed" / item.name
        with context.write(f"rehearsed/{item.name}") as temporary:
            temporary.write_bytes((item.name.encode() + b"\n") * (params.product // (len(item.name.encode()) + 1) + 1))
        return Result({"file": path}, figures)

    def finish(self, done: Iterable[Done], params: Parameters, context: Context) -> Result:
        """Write the names of what was done."""
        with context.write("rehearsed.txt") as temporary:
            temporary.write_text("".join(f"{one.item.name}\n" for one in done))
        return Result({"list": context.job / "rehearsed.txt"})


def with_threads(threads: int, seconds: float) -> None:
    """Keep ``threads`` cores busy for ``seconds``; hashing lets go of the interpreter's lock."""
    import hashlib

    end = time.monotonic() + seconds
    block = bytes(1 << 20)

    def work() -> None:
        while time.monotonic() < end:
            hashlib.sha256(block)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _wait(seconds: float, context: Context) -> None:
    begin = time.monotonic()
    while (gone := time.monotonic() - begin) < seconds:
        context.progress(gone / seconds)
        time.sleep(min(0.2, seconds - gone))
