"""CTFFIND: the answers that it asks for, one after another, and the files that it leaves."""

import math
import sys

import fake


def ctffind(arguments: list[str]) -> None:
    """CTFFIND 4.1: asks on standard input."""
    if arguments == ["--version"]:
        print("CTFFIND version 4.1.14")
        return
    fake.begin("ctffind", arguments)
    answers = sys.stdin.read().split("\n")
    if len(answers) < 3:
        print("Fatal error: nothing was answered")
        sys.exit(1)
    ask = iter(answers)
    image = next(ask)
    sections, _, _ = fake.shape_of(image)
    if sections > 1 and next(ask) != "no":
        fake.strict("movies are not asked for here")
    out = next(ask)
    _pixel, _voltage, _cs, _amplitude = (float(next(ask)) for _ in range(4))
    box = int(next(ask))
    coarse, fine, least, most, _step = (float(next(ask)) for _ in range(5))
    if coarse <= fine or least >= most:
        print("Error: ranges")
        sys.exit(1)
    for question in ("known astigmatism", "slow search"):
        if next(ask) not in ("yes", "no"):
            fake.strict(question)
    if next(ask) == "yes":
        float(next(ask))
    if next(ask) == "yes":
        for _ in range(3):
            float(next(ask))
    if next(ask) != "no" or any(ask):
        fake.strict("expert options, or answers that nobody asked for")
    fake.image(out, (sections, box // 8, box // 8))
    rows = "".join(
        f"{i + 1:.6f} {12000.5 + i:.6f} {fake.number(11500.25):.6f} 30.0 {math.pi / 2:.6f} 0.12 4.5\n"
        for i in range(sections)
    )
    fake.text(out.replace(".mrc", ".txt"), f"# Output from CTFFind version 4.1.14\n{rows}")
    fake.text(out.replace(".mrc", "_avrot.txt"), "# profile\n0 1 2\n")
