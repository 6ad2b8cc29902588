"""Partials: what was written is read, and whatever is wrong with one is found and named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore import partials
from pypcore.partials import ArraySource, DamagedPartial, Entry, Header, PartialReader, read_header, write_partial

ITEMS = (Entry(0, "a", 10, 5, {"particles": 3}), Entry(2, "c", 11, 6))
HEADER = Header("reconstruct", "0123456789abcdef", 3, 5, ITEMS, (1,))
HALF = np.arange(3000, dtype=np.float32).reshape(10, 30, 10)
COUNTS = np.array([7, 8])


def write(path: Path) -> Header:
    arrays = {
        "half1": ArraySource("<f4", HALF.shape, lambda: iter(HALF)),
        "particles": ArraySource("<i8", COUNTS.shape, lambda: [COUNTS]),
    }
    return write_partial(path, HEADER, arrays)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "BLOCK", 4096)


def read_all(path: Path) -> list[np.ndarray]:
    with PartialReader(path) as partial:
        return [partial.read(number) for number in range(len(partial.header.arrays))]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p"
    header = write(path)
    assert read_header(path) == header
    assert header.items == ITEMS
    assert header.last == 2
    half, counts = read_all(path)
    assert np.array_equal(half, HALF)
    assert np.array_equal(counts, COUNTS)
    with PartialReader(path) as partial:
        assert set(partial.arrays()) == {"half1", "particles"}
        assert np.array_equal(partial.arrays()["particles"], COUNTS)


def test_the_same_sum_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "p")
    write(tmp_path / "q")
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    before, partials.BLOCK = partials.BLOCK, 4096
    path = tmp_path_factory.mktemp("whole") / "p"
    write(path)
    partials.BLOCK = before
    return path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_is_found(whole_file: bytes, tmp_path_factory: pytest.TempPathFactory, share: float, bit: int):
    before, partials.BLOCK = partials.BLOCK, 4096
    path = tmp_path_factory.getbasetemp() / "bit0/bit"
    path.parent.mkdir(exist_ok=True)
    at = int(share * len(whole_file))
    spoiled = bytearray(whole_file)
    spoiled[at] ^= 1 << bit
    path.write_bytes(spoiled)
    try:
        if _between_arrays(whole_file, at):
            assert np.array_equal(read_all(path)[0], HALF)
        else:
            with pytest.raises(DamagedPartial, match="bit0/bit"):
                read_all(path)
    finally:
        partials.BLOCK = before


def _between_arrays(whole_file: bytes, at: int) -> bool:
    header = Header.parse(whole_file[32 : 32 + int.from_bytes(whole_file[24:32], "little")])
    begins = [32 + len(header.text), *(a + one.nbytes for a, one in zip(header.starts, header.arrays, strict=False))]
    return any(begin <= at < end for begin, end in zip(begins, header.starts, strict=True))


@pytest.mark.parametrize("kept", [0, 10, 31, 100, 5000, -4, -1])
def test_a_partial_that_is_cut_off_is_found_by_its_header(whole_file: bytes, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "p"
    path.write_bytes(whole_file[:kept])
    with pytest.raises(DamagedPartial, match=r"cut off|header is damaged"):
        read_header(path)


def test_missing_other_files_and_other_versions_are_named(whole_file: bytes, tmp_path: Path) -> None:
    with pytest.raises(DamagedPartial, match="gone: missing"):
        read_header(tmp_path / "gone")
    (tmp_path / "text").write_text("this is not a partial, and long enough to be looked at" * 3)
    with pytest.raises(DamagedPartial, match="not a partial"):
        read_header(tmp_path / "text")
    (tmp_path / "newer").write_bytes(whole_file[:16] + b"\x02" + whole_file[17:])
    with pytest.raises(DamagedPartial, match="version 2; this pypcore reads 1"):
        read_header(tmp_path / "newer")
