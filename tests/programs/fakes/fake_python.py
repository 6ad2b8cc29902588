"""What the fakes of programs in Python share: parsers that are as strict as theirs, the GPUs they see, a network."""

import argparse
import os
from collections.abc import Callable

TORCH = b"PK\x03\x04 a network of random numbers " * 8


def parser(name: str, flags: str, **kinds: object) -> argparse.ArgumentParser:
    """Return a parser of ``flags``: ``a/alpha:int b?`` long names, a slash before the short one's, ``?`` no value."""
    made = argparse.ArgumentParser(prog=name, allow_abbrev=False)
    types: dict[str, Callable[[str], object]] = {"int": int, "float": float, "str": str}
    for flag in flags.split():
        bare = flag.rstrip("?+")
        names, _, kind = bare.partition(":")
        words = [f"-{one}" if len(one) == 1 and one != "K" else f"--{one}" for one in names.split("/")]
        if flag.endswith("?"):
            made.add_argument(*words, action="store_true")
        elif flag.endswith("+"):
            made.add_argument(*words, nargs="+", type=types[kind or "str"])
        else:
            made.add_argument(*words, type=types[kind or "str"])
    return made


def visible() -> list[str]:
    """Return the entries of CUDA_VISIBLE_DEVICES."""
    return [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
