"""The arrows between the parts: cli -> pypcore -> kernels, never back; and what a light import may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"pypcore": ROOT / "pypcore", "pypcore.kernels": ROOT / "kernels", "pypcore.cli": ROOT / "cli"}
LINKS = (ROOT / "pypcore/kernels", ROOT / "pypcore/cli")

HEAVY = {
    "cupy",
    "gemmi",
    "imagecodecs",
    "llvmlite",
    "matplotlib",
    "mrcfile",
    "numba",
    "numpy",
    "pandas",
    "scipy",
    "tifffile",
}
KERNELS_MAY_IMPORT = {"numpy", "scipy", "numba", "llvmlite", "cupy", "mkl_fft", "threadpoolctl"}
GPL = {"ducc0", "pyfftw", "PyQt5", "PyQt6"}  # a BSD-3 project may not need them


def sources(package: str) -> Iterator[tuple[str, Path]]:
    """Yield the modules of a part by full name, each file under one name only."""
    folder = FOLDERS[package]
    for path in sorted(folder.rglob("*.py")):
        if not any(path.is_relative_to(link) for link in LINKS):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


MODULES = [(name, path) for package in FOLDERS for name, path in sources(package)]


def imports(name: str, path: Path) -> set[str]:
    """Return the full names a file imports, wherever in it; ``from a import b`` counts as ``a`` and ``a.b``."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_follow_the_arrows(name, path):
    found = imports(name, path)
    if within(name, "pypcore.kernels"):
        own = {module for module in found if within(module, "pypcore")}
        assert all(within(module, "pypcore.kernels") or module == "pypcore" for module in own), own
        others = {module.partition(".")[0] for module in found - own}
        assert others <= KERNELS_MAY_IMPORT | sys.stdlib_module_names
    elif not within(name, "pypcore.cli"):
        assert not [module for module in found if within(module, "pypcore.cli")]


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_kernels_and_cli_are_imported_by_their_full_names(name, path):
    assert not [module for module in imports(name, path) if within(module, "kernels") or within(module, "cli")]


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_nothing_under_the_gpl_is_imported(name, path):
    assert not {module.partition(".")[0] for module in imports(name, path)} & GPL


def test_only_one_module_decides_how_numba_compiles():
    decorators = {"jit", "njit", "vectorize", "guvectorize", "stencil", "cfunc"}
    users = {
        name
        for name, path in MODULES
        if any(module in {f"numba.{each}" for each in decorators} for module in imports(name, path))
        or any(
            isinstance(node, ast.Attribute)
            and node.attr in decorators
            and isinstance(node.value, ast.Name)
            and node.value.id in ("numba", "nb")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert users == {"pypcore.kernels._jit"}


def loaded_by(code: str) -> set[str]:
    """Return the heavy packages that ``code`` loads in a fresh interpreter."""
    report = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize(
    "module",
    ["pypcore", "pypcore.cli.main", "pypcore.resources", "pypcore.plan", "pypcore.job", "pypcore.records"],
)
def test_a_light_module_loads_nothing_heavy(module):
    assert loaded_by(f"import {module}") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["run", "--help"], ["status", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys
from pypcore.cli.main import main
sys.argv = ["pypcore", *{arguments!r}]
try:
    main()
except SystemExit as ending:
    assert not ending.code, ending.code
"""
    assert loaded_by(code) == set()


def test_the_links_for_editors_lead_to_the_sources():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: an unpacked sdist has no links")
    for link in LINKS:
        assert link.is_symlink()
        assert link.resolve() == ROOT / link.name
