from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.errors import UsageError
from pypcore.items import choose_names, find_files


def names(*paths: str, taken: tuple[str, ...] = ()) -> list[str]:
    return choose_names([Path(path) for path in paths], taken)


def test_a_unique_plain_stem_is_the_name() -> None:
    assert names("raw/a.tif", "raw/b.mrc.gz") == ["a", "b"]


def test_equal_stems_are_told_apart_by_their_folders() -> None:
    assert names("day1/a.tif", "day2/a.tif") == ["day1_a", "day2_a"]


def test_equal_stems_in_one_folder_get_a_hash() -> None:
    first, second = names("raw/a.tif", "raw/a.mrc")
    assert first != second
    assert all(name.startswith("raw_a") for name in (first, second))


def test_names_that_differ_in_case_only_are_told_apart() -> None:
    assert len({name.casefold() for name in names("x/A.tif", "y/a.tif")}) == 2


def test_a_grown_data_set_keeps_the_names_it_has() -> None:
    assert names("day2/a.tif", taken=("a",)) == ["day2_a"]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=200),
        min_size=1,
        unique=True,
    )
)
def test_any_file_name_gives_a_unique_plain_name(stems: list[str]) -> None:
    chosen = choose_names([Path("raw", f"{stem}.tif") for stem in stems])
    assert len({name.casefold() for name in chosen}) == len(stems)
    for name in chosen:
        assert len(name) <= 120
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
        assert name[0] not in "-."


def test_globs_folders_files_and_lists_are_expanded_in_order_and_once(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("m_10.tif", "m_9.tif", "note.txt"):
        (raw / name).touch()
    (tmp_path / "list.txt").write_text("# best first\nraw/m_10.tif\n\nraw/m_9.tif\n")
    expected = [Path("raw/m_9.tif"), Path("raw/m_10.tif")]
    assert find_files(["raw/*.tif"], (".tif",), tmp_path) == expected
    assert find_files(["raw"], (".tif",), tmp_path) == expected
    assert find_files(["@list.txt", "raw"], (".tif",), tmp_path) == expected[::-1]


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").touch()
    assert find_files(["a[1].tif"], (".tif",), tmp_path) == [Path("a[1].tif")]


@pytest.mark.parametrize("given_input", ["none/*.tif", "nothing.tif", "@no-list.txt", "empty"])
def test_what_matches_nothing_is_refused_by_name(given_input: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=given_input.lstrip("@").replace("*", r"\*")):
        find_files([given_input], (".tif",), tmp_path)
