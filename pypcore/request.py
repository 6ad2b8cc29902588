"""The request: what a job was asked to do. Frozen in the job folder as ``job.toml``."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pypcore.errors import UsageError
from pypcore.resources import Resources
from pypcore.spelling import refuse_unknown

SCHEMA = 1
NO_IDENTITY = ("device",)  # parameters that say where something is computed, not what: see compute.py


@dataclass(frozen=True)
class Policy:
    """How a job treats its items. ``item_timeout`` in seconds, 0 for none; the commands go to the user's shell.

    ``checkpoint``: an operation that accumulates saves a bundle's sum each so many seconds, 0 for only at its end.
    ``reject``: thresholds on figures (``quality.Rule``); what breaks one is left out of Merge.
    """

    item_timeout: int = 0
    checkpoint: int = 600
    allow_missing: bool = False
    reject: tuple[str, ...] = ()
    on_done: str = ""
    on_fail: str = ""


@dataclass(frozen=True)
class Request:
    """An operation over inputs, with its parameters and resources.

    ``inputs`` are as the user wrote them, relative to ``root``, the folder that the job was started from;
    ``job_as_given`` is the job folder in the same terms. ``parameters`` are plain values, as the operation's
    model dumps them. ``auxiliary`` holds size and mtime of files such as the gain reference: when one is
    replaced, what was made with it is out of date.
    """

    operation: str
    operation_version: int
    inputs: tuple[str, ...]
    root: Path
    job_as_given: str
    parameters: Mapping[str, Any]
    auxiliary: Mapping[str, list[int]] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    policy: Policy = field(default_factory=Policy)
    pypcore: str = ""

    def digest(self) -> str:
        """Name everything that decides an item's numbers, the item's own file apart."""
        given = {
            key: value
            for key, value in self.parameters.items()
            if value is not None and key not in NO_IDENTITY  # TOML has no None
        }
        decisive = [self.operation, self.operation_version, given, dict(self.auxiliary)]
        text = json.dumps(decisive, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def differences(self, earlier: Self) -> list[str]:
        """List what decides the numbers and is not as in ``earlier``, such as ``bin 1 -> 2``."""
        found = []
        if self.operation != earlier.operation:
            found.append(f"operation {earlier.operation} -> {self.operation}")
        if self.operation_version != earlier.operation_version:
            found.append(f"version of {self.operation} {earlier.operation_version} -> {self.operation_version}")
        for key in sorted({*self.parameters, *earlier.parameters} - {*NO_IDENTITY}):
            old, new = earlier.parameters.get(key), self.parameters.get(key)
            if old != new:
                found.append(f"{key} {_show(old)} -> {_show(new)}")
        for path in sorted({*self.auxiliary, *earlier.auxiliary}):
            if path in self.auxiliary and path in earlier.auxiliary and self.auxiliary[path] != earlier.auxiliary[path]:
                found.append(f"{path} was replaced")
        return found

    def to_toml(self) -> str:
        """Return the text of ``job.toml``."""
        import tomlkit  # late: only who freezes a request pays for it

        return tomlkit.dumps(
            {
                "schema": SCHEMA,
                "pypcore": self.pypcore,
                "operation": self.operation,
                "operation_version": self.operation_version,
                "inputs": list(self.inputs),
                "root": str(self.root),
                "job_as_given": self.job_as_given,
                "parameters": {key: value for key, value in self.parameters.items() if value is not None},
                "auxiliary": dict(self.auxiliary),
                "resources": self.resources.to_dict(),
                "policy": vars(self.policy) | {"reject": list(self.policy.reject)},
            }
        )

    @classmethod
    def from_toml(cls, text: str, source: str) -> Self:
        """Read ``job.toml``; ``source`` names it in errors."""
        try:
            table = tomllib.loads(text)
            if table.pop("schema") != SCHEMA:
                raise UsageError(f"{source}: written by another version of pypcore (schema is not {SCHEMA})")
            return cls(
                inputs=tuple(table.pop("inputs")),
                root=Path(table.pop("root")),
                resources=Resources.from_dict(table.pop("resources")),
                policy=read_policy(table.pop("policy")),
                **table,
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise UsageError(f"{source}: not a job's request ({error!r}); was it edited by hand?") from error


def read_policy(table: Mapping[str, Any]) -> Policy:
    """Return the policy that a table holds."""
    return Policy(**{**table, "reject": tuple(table.get("reject", ()))})


def read_config(path: Path) -> dict[str, Any]:
    """Read a ``pypcore.toml``: tables ``parameters``, ``resources`` and ``policy``, each optional.

    The tables' own keys are checked by those who own them; here only the names of the tables are.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    try:
        refuse_unknown(table, ("parameters", "policy", "resources"), "table")
        refuse_unknown(table.get("policy", {}), vars(Policy()), "policy")
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return table


def _show(value: Any) -> str:
    return "not given" if value is None else str(value)
