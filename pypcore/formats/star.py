"""STAR files as RELION writes and reads them: tables to dictionaries of columns and back, through gemmi."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from gemmi import cif

from pypcore.errors import InputError

_VERSION = "# version 30001"  # RELION reads a file without it as one of version 3.0 or older

_PLAIN = re.compile(r"[A-Za-z0-9./+-][A-Za-z0-9./+:@_-]*")  # gemmi would quote a name with an underscore
_RESERVED = ("data_", "loop_", "save_", "stop_", "global_")

Value = str | int | float
Column = Sequence[Value]


@dataclass
class Block:
    """One ``data_`` block: single values, one table, or both. Names are without the leading underscore."""

    pairs: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)


def read_star(path: Path) -> dict[str, Block]:
    """Read a STAR file as ``{block name: Block}``; values are text without their quotes.

    Raises InputError where the file is no STAR, or a block has more than one table (RELION's have not).
    """
    try:
        document = cif.read_file(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"{path}: not a STAR file ({reason})") from error
    return {block.name: _read_block(block, path) for block in document}


def _read_block(block: cif.Block, path: Path) -> Block:
    result = Block()
    for item in block:
        if item.pair is not None:
            name, value = cast(tuple[str, str], item.pair)
            result.pairs[name.removeprefix("_")] = cif.as_string(value)
        elif item.loop is not None:
            if result.columns:
                raise InputError(f"{path}: block data_{block.name} has more than one table; RELION's have one")
            table = item.loop
            for number, tag in enumerate(table.tags):
                values = [cif.as_string(table[row, number]) for row in range(table.length())]
                result.columns[tag.removeprefix("_")] = values
    return result


def write_star(path: Path, blocks: Mapping[str, Mapping[str, Value] | Mapping[str, Column]]) -> None:
    """Write ``{block name: {name: value}}`` or ``{block name: {name: column}}``: a list or a table each.

    Text that needs quotes gets them; numbers keep the digits that they need. Columns of unequal length: ValueError.
    """
    document = cif.Document()
    for name, content in blocks.items():
        block = document.add_new_block(name)
        columns = {key: value for key, value in content.items() if not isinstance(value, Value)}
        if columns:
            loop = block.init_loop("_", list(columns))
            for row in zip(*columns.values(), strict=True):
                loop.add_row([_text(value) for value in row])
        for key, value in content.items():
            if isinstance(value, Value):
                block.set_pair(f"_{key}", _text(value))
    text = "\n".join(f"{_VERSION}\n\n{block.as_string()}" for block in document)
    path.write_text(text, encoding="utf-8")


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and not value.lower().startswith(_RESERVED) and value != "."):
        return str(value)  # a lone dot would say "no value"
    return cif.quote(value)
