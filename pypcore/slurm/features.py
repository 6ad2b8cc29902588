"""SLURM's ``--constraint``: which features it names, and which nodes it lets a job on.

Pure. ``a&b`` (or ``a,b``) wants both, ``a|b`` either, round brackets group, and without them it is read from left
to right. ``[a|b]`` and ``a*2`` speak of jobs on several nodes; for a job on one node they are ``(a|b)`` and ``a``.
"""

import re
from collections.abc import Callable, Collection

from pypcore.errors import UsageError

_TOKEN = re.compile(r"[&|,()]|[^&|,()\[\]*\s]+")


def named_features(constraint: str) -> list[str]:
    """Return the features that a constraint names; UsageError where it is not an expression."""
    wanted_by(constraint)
    return [token for token in _tokens(constraint) if token not in "&|,()"]


def wanted_by(constraint: str) -> Callable[[Collection[str]], bool]:
    """Return what says of a node's features whether the constraint lets a job on it; an empty one always does."""
    if not constraint:
        return lambda features: True
    tokens = _tokens(constraint)
    test = _expression(tokens, constraint)
    if tokens:
        raise UsageError(f"constraint '{constraint}': nothing can follow where '{tokens[0]}' stands")
    return test


def _tokens(constraint: str) -> list[str]:
    plain = re.sub(r"\*\d+", "", constraint).replace("[", "(").replace("]", ")")
    return _TOKEN.findall(plain)


def _expression(tokens: list[str], constraint: str) -> Callable[[Collection[str]], bool]:
    test = _operand(tokens, constraint)
    while tokens and tokens[0] in "&|,":
        either = tokens.pop(0) == "|"
        test = _joined(test, _operand(tokens, constraint), either)
    return test


def _joined(
    first: Callable[[Collection[str]], bool], second: Callable[[Collection[str]], bool], either: bool
) -> Callable[[Collection[str]], bool]:
    if either:
        return lambda features: first(features) or second(features)
    return lambda features: first(features) and second(features)


def _operand(tokens: list[str], constraint: str) -> Callable[[Collection[str]], bool]:
    token = tokens.pop(0) if tokens else ""
    if token == "(":
        inner = _expression(tokens, constraint)
        if not tokens or tokens.pop(0) != ")":
            raise UsageError(f"constraint '{constraint}': a bracket is not closed")
        return inner
    if token in ("", "&", "|", ",", ")"):
        raise UsageError(f"constraint '{constraint}': a feature is missing{f' before {token!r}' if token else ''}")
    return lambda features: token in features
