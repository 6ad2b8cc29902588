"""Writers of files that no library writes: EER, packed 4-bit MRC, MRC headers of old programs."""

from collections.abc import Callable
from pathlib import Path
from struct import pack, pack_into

import numpy as np
import pytest

Events = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # y, x on the sensor; place in the pixel in quarters
EER_8BIT, EER_7BIT, EER_VARIABLE = 65000, 65001, 65002


def encode_events(events: Events, shape: tuple[int, int], compression: int) -> bytes:
    """Run-length encode one raw frame: run of empty pixels, place in the pixel, from the lowest bit up.

    A full run says that the run goes on; only the 8-bit form of the prototype spends bits on a place after it.
    Y and X of the place have their high bits turned over.
    """
    y, x, quarter_y, quarter_x = events
    pixel = y * shape[1] + x
    order = np.argsort(pixel)
    full = 255 if compression == EER_8BIT else 127
    run_bits = full.bit_length()
    gaps = np.diff(np.concatenate([[-1], pixel[order], [shape[0] * shape[1]]])) - 1
    last = np.cumsum(gaps // full + 1) - 1  # the code that ends each gap
    run = np.full(last[-1] + 1, full)
    run[last] = gaps % full
    place = np.zeros(len(run), int)
    place[last[:-1]] = ((quarter_y[order] ^ 2) << 2) | (quarter_x[order] ^ 2)
    bits = ((run | place << run_bits)[:, None] >> np.arange(run_bits + 4)) & 1
    used = np.ones(bits.shape, bool)
    if compression != EER_8BIT:
        used[:, run_bits:] = False
        used[last[:-1], run_bits:] = True
    data = np.packbits(bits[used].astype(np.uint8), bitorder="little").tobytes()
    return data + bytes(8 + -len(data) % 8)


def random_events(shape: tuple[int, int], count: int, seed: int) -> Events:
    rng = np.random.default_rng(seed)
    pixel = rng.choice(shape[0] * shape[1], count, replace=False)
    return pixel // shape[1], pixel % shape[1], rng.integers(0, 4, count), rng.integers(0, 4, count)


def counts(frames: list[Events], shape: tuple[int, int], sampling: int) -> np.ndarray:
    """Count events the slow way: what a frame made of these raw frames must be."""
    scale = 1 << (sampling - 1)
    image = np.zeros((shape[0] * scale, shape[1] * scale), int)
    for y, x, quarter_y, quarter_x in frames:
        np.add.at(image, (y * scale + quarter_y * scale // 4, x * scale + quarter_x * scale // 4), 1)
    return image


def eer_file(
    path: Path, frames: list[Events], shape: tuple[int, int], compression: int = EER_7BIT, metadata: bytes = b""
) -> Path:
    """Write a little-endian BigTIFF with one page a raw frame, as the camera's software does."""
    out = bytearray(b"II" + pack("<HHHQ", 43, 8, 0, 0))
    link = 8  # where the place of the next page's description goes
    for number, events in enumerate(frames):
        data = encode_events(events, shape, compression)
        tags = [(256, 4, 1, shape[1]), (257, 4, 1, shape[0]), (259, 3, 1, compression), (262, 3, 1, 1)]
        tags += [(273, 16, 1, len(out)), (277, 3, 1, 1), (278, 4, 1, shape[0]), (279, 16, 1, len(data))]
        out += data
        if metadata and number == 0:
            tags.append((65001, 7, len(metadata), len(out)))
            out += metadata
        if compression == EER_VARIABLE:
            tags += [(65007, 3, 1, 7), (65008, 3, 1, 2), (65009, 3, 1, 2)]
        out += bytes(-len(out) % 8)
        pack_into("<Q", out, link, len(out))
        out += pack("<Q", len(tags)) + b"".join(pack("<HHQQ", *tag) for tag in tags)
        link = len(out)
        out += bytes(8)
    path.write_bytes(out)
    return path


def mrc_bytes(data: np.ndarray, mode: int, *, order: str = "<", stamp: bool = True, extended: int = 0) -> bytearray:
    """Return an MRC file of ``data`` [z, y, x], written field by field from the format's description."""
    sections, rows, columns = data.shape
    header = bytearray(1024)
    pack_into(f"{order}10i6f", header, 0, columns, rows, sections, mode, 0, 0, 0, columns, rows, sections,
              1.5 * columns, 1.5 * rows, 1.5 * sections, 90, 90, 90)  # fmt: skip
    pack_into(f"{order}3i", header, 64, 1, 2, 3)
    pack_into(f"{order}i", header, 92, extended)
    if stamp:
        header[208:212] = b"MAP "
    if mode == 101:
        even = np.pad(data, ((0, 0), (0, 0), (0, columns % 2)))
        pixels = (even[..., 0::2] | even[..., 1::2] << 4).astype(np.uint8)
    else:
        pixels = data.astype(data.dtype.newbyteorder(order))
    return header + bytes(extended) + pixels.tobytes()


@pytest.fixture
def write_eer() -> Callable[..., Path]:
    return eer_file


@pytest.fixture
def make_events() -> Callable[..., Events]:
    return random_events


@pytest.fixture
def count_events() -> Callable[..., np.ndarray]:
    return counts


@pytest.fixture
def make_mrc() -> Callable[..., bytearray]:
    return mrc_bytes
