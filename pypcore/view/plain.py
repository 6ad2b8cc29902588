"""Values as JSON that every browser reads."""

import json
import math
from typing import Any


def to_json(value: Any) -> str:
    """Write plain values as compact JSON; what is no number, or endless, becomes null: JSON has no word for it."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
