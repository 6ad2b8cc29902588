"""Merge of an operation that accumulates: all partials of a job become one, in the order of their bundles.

Arrays are added block by block, each block on one of Merge's threads: memory is that of the total, whatever the
number of partials, and no thread waits for another. A block is added up in float64 over FAN partials at a time, and
these sums, rounded once each, in their order: a tree of fixed form, so that the bits hang on neither threads nor the
order in which bundles were done.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import PypcoreError
from pypcore.job import Job
from pypcore.operation import Accumulating, Done
from pypcore.partials import BLOCK, DamagedPartial, PartialReader
from pypcore.request import Request
from pypcore.sums import Sums

FAN = 64  # partials that are open at a time
ASIDE = ".damaged"
MOST_NAMED = 5


def combine_partials(
    job: Job, request: Request, operation: Accumulating, done: Sequence[Done], threads: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the sum of all bundles that hold ``done``, by the arrays' names.

    DamagedPartial names every partial that is missing, cut off, corrupt, or of other parameters or items; each is put
    aside, so that ``resume`` does its items again.
    """
    bundles = _bundles(job, request, done)
    total: dict[str, npt.NDArray[Any]] = {}
    bad: dict[Path, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(bundles), FAN):
            with ExitStack() as stack:
                readers = [stack.enter_context(PartialReader(path)) for path in bundles[first : first + FAN]]
                _add(total, readers, operation, pool, bad)
    if bad:
        raise _put_aside(job, bad)
    return total


def _bundles(job: Job, request: Request, done: Sequence[Done]) -> list[Path]:
    """Return the partials to add up, in order, each seen to name just the items that are done."""
    sums = Sums(job, request, list(job.items()))
    of_bundle: dict[int, list[int]] = {}
    for one in done:
        of_bundle.setdefault(one.item.index // sums.bundle_size, []).append(one.item.index)
    bad: dict[Path, str] = {}
    for k, wanted in sorted(of_bundle.items()):
        try:
            named = [entry.index for entry in sums.header(k).items]
        except DamagedPartial as error:
            bad[job.partial(k)] = str(error)
            continue
        if named != sorted(wanted):
            bad[job.partial(k)] = f"partials/{job.partial(k).name}: names other items than are done"
    if bad:
        raise _put_aside(job, bad)
    return [job.partial(k) for k in sorted(of_bundle)]


def _add(
    total: dict[str, npt.NDArray[Any]],
    readers: Sequence[PartialReader],
    operation: Accumulating,
    pool: ThreadPoolExecutor,
    bad: dict[Path, str],
) -> None:
    """Add the partials ``readers`` to ``total``; note in ``bad`` those with a block that can't be read."""
    sources: dict[str, list[tuple[PartialReader, int]]] = {}
    for reader in readers:
        for number, spec in enumerate(reader.header.arrays):
            sources.setdefault(spec.name, []).append((reader, number))
            found = total.setdefault(spec.name, np.zeros(spec.shape, spec.dtype))
            if found.shape != spec.shape or found.dtype != spec.dtype:
                raise PypcoreError(
                    f"{reader.path}: {spec.name} is {_form(spec)}, in the partials before it {_form(found)}"
                )

    def add_block(name: str, number: int) -> None:
        flat = total[name].reshape(-1)
        begin = number * BLOCK // flat.itemsize
        here = flat[begin : begin + BLOCK // flat.itemsize]
        wide = np.zeros(here.shape, np.result_type(here.dtype, np.float64))
        for reader, array in sources[name]:
            try:
                operation.combine(wide, reader.block(array, number))
            except DamagedPartial as error:
                bad.setdefault(reader.path, str(error))
        here += wide.astype(here.dtype)

    # A list, so that the first error is raised.
    list(pool.map(lambda task: add_block(*task), _tasks(sources)))


def _tasks(sources: Mapping[str, Sequence[tuple[PartialReader, int]]]) -> Iterator[tuple[str, int]]:
    for name, parts in sources.items():
        reader, array = parts[0]
        for number in reader.blocks(array):
            yield name, number


def _form(array: Any) -> str:
    return f"{tuple(array.shape)} {np.dtype(array.dtype).name}"


def _put_aside(job: Job, bad: Mapping[Path, str]) -> DamagedPartial:
    """Rename partials that can't be used; return the error that names them."""
    for path in bad:
        if path.exists():
            os.replace(path, path.with_name(path.name + ASIDE))
    said = [text.replace(f"{job.folder}{os.sep}", "") for text in bad.values()]
    more = f"; and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    return DamagedPartial(
        f"{'; '.join(said[:MOST_NAMED])}{more}: put aside; their items are done again by: pypcore resume {job.folder}"
    )
