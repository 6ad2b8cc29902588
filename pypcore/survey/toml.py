"""A survey as a ``pypcore.toml``: what was found with its source, what is to be answered as a comment."""

from typing import Any

from pypcore.operation import get_operation
from pypcore.survey.facts import Survey

_WIDTH = 118


def to_toml(survey: Survey) -> str:
    """Return the text; ``run --config`` takes it, with what is still missing given as options."""
    model = get_operation(survey.operation).Parameters.model_fields
    lines = [
        f"# Made by pypcore init from {survey.folder}: {survey.summary}.",
        "# A value stands with where it was found. What no file says is a comment with the question: answer it, or",
        "# give it as an option. Then:",
        f"#   {command(survey)}",
        "",
        "[parameters]",
    ]
    for key, facts in survey.found.items():
        lines += _commented(model[key].description or "")
        lines += [f"# from {facts[0].source}"]
        lines += [f"#   and {one.source}: {_value(one.value)}" for one in facts[1:]]
        lines += [f"{key} = {_value(facts[0].value)}", ""]
    for key, facts in survey.conflicts.items():
        lines += _commented(model[key].description or "")
        lines += ["# The files disagree: take out the # before the right one."]
        lines += [f"# {key} = {_value(one.value)}  # {one.source}" for one in facts]
        lines += [""]
    for question in survey.questions:
        if question.key in survey.conflicts:
            continue
        lines += _commented(question.text)
        lines += [f"# {question.key} = {_example(question.example)}", ""]
    if survey.notes:
        lines += ["# What else was seen:"]
        lines += [line for note in survey.notes for line in _commented(f"- {note}")]
        lines += [""]
    lines += [
        "# Resources of a task (docs/resources.md); pypcore efficiency JOB says after some items what is enough.",
        "[resources.split]",
        "# threads = 2",
        "# memory = 4  # GB per thread",
        "",
    ]
    return "\n".join(lines)


def command(survey: Survey) -> str:
    """Return the command that the file is for."""
    inputs = " ".join(f"'{one}'" for one in survey.inputs)
    job = "motion" if survey.operation == "motioncorr" else "tomograms"
    return f"pypcore run {survey.operation} {inputs} -o {job} --config pypcore.toml"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _example(text: str) -> str:
    """Write an example as TOML would have it: a number, or text in quotes."""
    try:
        float(text)
    except ValueError:
        return f'"{text}"' if text and "," not in text else text
    return text


def _commented(text: str) -> list[str]:
    """Break a text into comment lines."""
    lines, line = [], "#"
    for word in " ".join(text.split()).split(" "):
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]
