"""Every ``cupy.name`` that the sources use exists in the installed CuPy, which needs no GPU to be looked into."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.cupy

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for part in ("kernels", "pypcore", "bench")
    for path in sorted((ROOT / part).rglob("*.py"))
    if any(word in path.read_text() for word in ("import cupy", "xp."))
]


NAMES = {"cupy": "cupy", "cupyx": "cupyx", "xp": "cupy"}  # by what a source calls it


def dotted_names(tree: ast.AST) -> Iterator[str]:
    """Yield each whole ``cupy.a.b`` once used."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        parts: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            parts.append(at.attr)
            at = at.value
        if isinstance(at, ast.Name) and at.id == "self":
            at = ast.Name(parts.pop())  # self.xp
        if isinstance(at, ast.Name) and at.id in NAMES and parts:
            yield ".".join([NAMES[at.id], *reversed(parts)])


def exists(name: str) -> bool:
    """Say whether a dotted name leads to something; what follows a call's result is not looked at."""
    top, *parts = name.split(".")
    thing = importlib.import_module(top)
    for part in parts:
        try:
            if not hasattr(thing, part):
                return False
        except ImportError:  # the name is there, the library behind it is not installed
            return True
        thing = getattr(thing, part)
    return True


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_is_cupys(path: Path) -> None:
    assert not [name for name in dotted_names(ast.parse(path.read_text())) if not exists(name)]


def test_a_name_that_cupy_lacks_is_seen() -> None:
    assert not exists("cupy.nanpercentile")
    found = ["cupy.fft.rfft2", "cupy.abs", "cupy.roll"]
    assert list(dotted_names(ast.parse("cupy.fft.rfft2(x); y.cupy.z; xp.abs(x); self.xp.roll(x)"))) == found
