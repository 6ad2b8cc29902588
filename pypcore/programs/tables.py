"""The tables of all items: a CSV of figures and products, a STAR of the products that RELION has words for."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypcore.formats.star import write_star
from pypcore.operation import Context, Done
from pypcore.programs.card import Card

_BLOCK = {"tomogram": "global", "tilt-series": "global", "micrograph": "micrographs", "movie": "micrographs"}


def write_tables(card: Card, done: Sequence[Done], context: Context) -> dict[str, Path]:
    """Write ``NAME.csv``, and ``NAME.star`` where the card names columns; return both."""
    products = {"table": context.job / f"{card.name}.csv"}
    with context.write(f"{card.name}.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write_csv(file, done, context)
    columns = {
        output.column: [as_given(one, output.kind, context) for one in done]
        for output in card.outputs
        if output.column and done and all(output.kind in one.products for one in done)
    }
    if columns:
        named = {"rlnTomoName": [one.item.name for one in done]} if _BLOCK.get(card.takes) == "global" else {}
        with context.write(f"{card.name}.star") as temporary:
            write_star(temporary, {_BLOCK.get(card.takes, "files"): {**named, **columns}})
        products["star"] = context.job / f"{card.name}.star"
    return products


def as_given(one: Done, kind: str, context: Context) -> str:
    """Return where a product is, as a program that is started where the job was finds it."""
    return f"{context.job_as_given}/{one.products[kind].relative_to(context.job)}"


def _write_csv(file: Any, done: Sequence[Done], context: Context) -> None:
    names: dict[str, None] = {}
    rows = []
    for one in done:
        figures = {name: value for name, value in one.figures.items() if not isinstance(value, list | dict)}
        products = {kind: as_given(one, kind, context) for kind in one.products}
        names |= dict.fromkeys([*products, *figures])
        rows.append({"name": one.item.name, "input": one.item.given, **products, **figures})
    writer = csv.DictWriter(file, ["name", "input", *names], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
