"""The parameters of a program's operation: a model made from its card, with types, ranges and units."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model, model_validator

from pypcore import operation
from pypcore.programs.card import Card, Option
from pypcore.programs.extra import read_extra

_TYPES: dict[str, type[Any]] = {"int": int, "float": float, "bool": bool, "text": str, "file": Path}

Rules = Callable[[Any], None]


def make_parameters(card: Card, rules: Rules) -> type[operation.Parameters]:
    """Return the model of a card's parameters; ``rules`` raises ValueError for what does not go together."""

    class Base(operation.Parameters):
        @model_validator(mode="after")
        def check(self) -> Any:
            read_extra(card, getattr(self, "extra", ""))
            rules(self)
            return self

    given: dict[str, Any] = {option.name: _field(option) for option in card.options}
    if card.devices.need == "can":
        text = "Where it computes; cuda asks for gpu:1 unless gres says otherwise, and nothing falls back by itself"
        given["device"] = (Literal["cuda", "cpu"], Field("cuda", description=text))
    if card.devices.need != "never" and card.program.fallback:
        text = "Take a result that the program made on the CPU though it was given a GPU"
        given["allow_cpu_fallback"] = (bool, Field(False, description=text))
    text = f"More arguments for {card.program.name}, in quotes and as it writes them; checked before anything runs"
    given["extra"] = (str, Field("", description=text))
    model: type[operation.Parameters] = create_model("Parameters", __base__=Base, **given)
    return model


def _field(option: Option) -> tuple[Any, Any]:
    """Return annotation and field of one option."""
    kind: Any = _TYPES[option.type]
    if option.choices:
        kind = Literal[option.choices]
        if option.type == "int":
            kind = Annotated[kind, BeforeValidator(_whole)]
    bounds: dict[str, Any] = {"gt": option.above, "ge": option.least, "le": option.most}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    if option.values > 1:
        one = Annotated[kind, Field(**bounds)] if bounds else kind
        kind = Annotated[tuple[(one,) * option.values], BeforeValidator(_split)]  # type: ignore[misc]
        bounds = {}
    text = option.help.rstrip(".") + (f", {option.unit}" if option.unit else "")
    default = tuple(option.default) if isinstance(option.default, list) else option.default
    if option.needed:
        return kind, Field(description=text, **bounds)
    if default is None and option.type == "bool":
        default = False
    return (kind if default is not None else kind | None), Field(default, description=text, **bounds)


def _whole(given: Any) -> Any:
    """Read ``"90"`` as 90, for a choice of numbers."""
    return int(given) if isinstance(given, str) and given.isdigit() else given


def _split(given: Any) -> Any:
    """Read ``5,5`` as two values."""
    return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else given


def write_option(option: Option, value: Any) -> list[str]:
    """Return the words that an option is written with; none where it is not given."""
    if value is None or not option.flag or value == "":
        return []
    if option.type == "bool":
        if option.on or option.off:
            word = option.on if value else option.off
            return [option.flag, word] if word else []
        return [option.flag] if value else [option.no] if option.no else []
    values = [_text(one) for one in value] if isinstance(value, tuple | list) else [_text(value)]
    return [option.flag, option.join.join(values)] if option.join else [option.flag, *values]


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
