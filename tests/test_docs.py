"""The documents are true: their links lead somewhere, their options exist, their TOML is accepted."""

import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from pypcore.cli.main import NOT_FOR_PEOPLE, VERBS
from pypcore.resources import Resources, parse_gres, parse_memory, parse_walltime

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OF_OTHERS = {"--only", "--particles", "--quality"}  # of python -m bench
OF_OTHERS |= {"--mail-type", "--relion", "--j", "--array", "--mem", "--time", "--test-only", "--launch-", "--merge-"}
OF_OTHERS |= {"--bind", "--nv", "--no-capture-output", "--version", "--gpu", "--width"}  # docs/programs.md
OF_OTHERS |= {"--pad", "--skip"}  # RELION's, in docs/reconstruct-kernel.md

pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def options_of(command: Any) -> set[str]:
    """Return every option of a command and of the commands in it."""
    found = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            found |= options_of(command.get_command(context, name))
    return found


@cache
def all_options() -> set[str]:
    """Return every option of every verb."""
    verbs = [typer.main.get_command(import_module(f"pypcore.cli.{verb}").app) for verb in (*VERBS, *NOT_FOR_PEOPLE)]
    return {"--help"}.union(*map(options_of, verbs))


@pages
def test_links_lead_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pages
def test_options_exist(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", page.read_text()))
    assert named - all_options() - OF_OTHERS == set()


@pages
def test_toml_for_config_is_accepted(page):
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        Resources.from_dict(tomllib.loads(block).get("resources", {}))


def test_every_module_of_the_engine_has_its_line_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert [path.name for path in (ROOT / "pypcore").glob("[a-z]*.py") if path.name not in text] == []


def test_every_dependency_has_its_reason_in_the_architecture():
    table = (ROOT / "ARCHITECTURE.md").read_text().split("## Dependencies")[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=]", one)[0] for one in project["dependencies"]]
    assert [name for name in names if name not in table] == []


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading of docs/resources.md, as the code in their cells."""
    section = (ROOT / "docs/resources.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return [
        [*re.findall(r"`([^`]+)`", line.split("|")[1]), line.split("|")[-2].strip()]
        for line in section.splitlines()
        if line.startswith("| `")
    ]


def test_the_table_of_memory_forms_is_true():
    checked = 0
    for *forms, meaning in rows("Memory"):
        if found := re.match(r"(\d+) MiB", meaning):
            assert {parse_memory(form) for form in forms} == {int(found[1])}
            checked += len(forms)
    assert checked == 8


def test_the_table_of_walltimes_is_true():
    units = {"minute": 60, "second": 1, "hour": 3600, "day": 86400}
    checked = 0
    for *forms, meaning in rows("Walltime"):
        if len(forms) == 1:
            parts = re.findall(r"(\d+|a) (day|hour|minute|second)", meaning)
            said = sum((1 if number == "a" else int(number)) * units[unit] for number, unit in parts)
            assert parse_walltime(forms[0]) == said
            checked += 1
    assert checked == 6


def test_the_table_of_gres_is_true():
    for *forms, _ in rows("Gres"):
        assert all(parse_gres(form) for form in forms)
