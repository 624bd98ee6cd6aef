"""Custom benchmarks written as YAML files: put each line of the data through the prompt template.

`conf.custom_benchmarks` defines what such a file may hold. Templates run in jinja2's immutable sandbox. If a template
uses a field that a line does not have, the message names that line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.benchmarks.reading import BadLine, Row, data_file, field, read_lines, read_text_file
from actors.evaluation.contract import Benchmark, BenchmarkSpec, Kind, LoaderInputs, RawData, RawItem, SourceFile
from actors.evaluation.scorers.numbers_in_text import final_number
from actors.evaluation.scorers.numerals import written
from actors.orders import Choose, Generate, Message, Scorer
from actors.store import file_sha256
from conf.custom_benchmarks import CustomBenchmark, ScorerSettings
from conf.faults import BadInput, Fault
from conf.scorers import Target

_SANDBOX = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_BETWEEN_SHOTS = "\n\n"


def prompted_benchmark(custom: CustomBenchmark, folder: Path, scorer: ScorerSettings) -> Benchmark:
    """Return the benchmark that a YAML file in `folder` describes. Raise `BadInput` for a broken template."""
    kind = scorer.rules.kind
    title = custom.title or custom.name
    spec = BenchmarkSpec(
        name=custom.name,
        version=2 if kind == "generate" else 1,
        kind=kind,
        metric="nll" if kind == "measure" else custom.metric,
        higher_is_better=custom.higher_is_better and kind != "measure",
        shots=0,
        title={"en": title, "ja": title},
        url=custom.source,
        licence=custom.licence,
        revision="a file of the user's own",
        scorer=Scorer(scorer.name, scorer.settings),
        category=custom.category,
    )
    return Benchmark(spec, _text_loader(custom, folder) if kind == "measure" else _loader(custom, folder, scorer))


def _text_loader(custom: CustomBenchmark, folder: Path) -> Callable[[LoaderInputs], RawData]:
    def load(inputs: LoaderInputs) -> RawData:
        path = _file(folder, custom, custom.data)
        return load_text(inputs, read_text_file(path), SourceFile(path.name, file_sha256(path)))

    return load


@dataclass(frozen=True)
class _Line:
    """One line of the data, rendered."""

    item_id: str
    prompt: str
    answer: str
    """The answer to show if this line is an example."""
    target: Any
    choices: tuple[str, ...]


def _loader(custom: CustomBenchmark, folder: Path, scorer: ScorerSettings) -> Callable[[LoaderInputs], RawData]:
    prompt, answer = _template(custom, "prompt"), _template(custom, "shot_answer")

    def line_of(row: Row) -> _Line:
        choices = _choices(custom, row)
        target = _target(scorer.rules.target, str(custom.target), row, choices)
        shown = choices[target] if choices else target[0] if isinstance(target, list) else target
        seen = {"expected": shown, **row}
        return _Line(str(row[custom.id]), _rendered(prompt, row), _rendered(answer, seen), target, choices)

    def read(path: Path) -> list[_Line]:
        return read_lines(path, custom.id, line_of)

    def load(inputs: LoaderInputs) -> RawData:
        paths = [_file(folder, custom, custom.data)]
        lines, shots = read(paths[0]), list[_Line]()
        if custom.shots_data is not None:
            paths.append(_file(folder, custom, custom.shots_data))
            shots = read(paths[1])[: custom.shots]
        raw_items = tuple(_raw_item(custom, scorer.rules.kind, inputs, line, shots) for line in lines)
        files = tuple(SourceFile(path.name, file_sha256(path)) for path in paths)
        return RawData(raw_items, files, len(shots))

    return load


def _file(folder: Path, custom: CustomBenchmark, name: Path | None) -> Path:
    return data_file(folder, custom.name, str(name))


def _raw_item(custom: CustomBenchmark, kind: Kind, inputs: LoaderInputs, line: _Line, shots: list[_Line]) -> RawItem:
    messages = _turns(custom, line, shots) if custom.chat else _plain(line, shots)
    if kind == "choose":
        # A choice continues the prompt after a space, unless the prompt already ends with white space.
        space = "" if messages[-1].content[-1:].isspace() or custom.chat else " "
        choices = tuple(space + choice for choice in line.choices)
        return RawItem(line.item_id, Choose(messages, custom.chat, choices), line.target)
    max_tokens = min(custom.max_tokens, inputs.sampling.max_tokens)
    return RawItem(line.item_id, Generate(messages, custom.chat, custom.stop, max_tokens), line.target)


def _turns(custom: CustomBenchmark, line: _Line, shots: list[_Line]) -> tuple[Message, ...]:
    messages = [] if custom.system is None else [Message("system", custom.system)]
    for shot in shots:
        messages += [Message("user", shot.prompt), Message("assistant", shot.answer)]
    return (*messages, Message("user", line.prompt))


def _plain(line: _Line, shots: list[_Line]) -> tuple[Message, ...]:
    shown = "".join(f"{_joined(shot.prompt, shot.answer)}{_BETWEEN_SHOTS}" for shot in shots)
    return (Message("user", shown + line.prompt),)


def _joined(prompt: str, answer: str) -> str:
    return prompt + answer if prompt[-1:].isspace() or answer[:1].isspace() else f"{prompt} {answer}"


def _choices(custom: CustomBenchmark, row: Row) -> tuple[str, ...]:
    if custom.choices is None:
        return ()
    choices = field(row, custom.choices, list)
    if len(choices) < 2 or not all(isinstance(choice, str) and choice for choice in choices):
        raise BadLine(f"'{custom.choices}' with at least two texts")
    return tuple(choices)


def _target(kind: Target, name: str, row: Row, choices: tuple[str, ...]) -> Any:
    """Return the field `name` as the scorer needs it. Raise `BadLine` if it is of another kind."""
    target = field(row, name, (str, int, float, list))
    if kind == "index":
        return _index(target, name, choices)
    if kind == "number":
        return _number(str(target), name)
    if isinstance(target, list):
        if kind == "text" or not target:
            raise BadLine(f"'{name}' with one answer")
        return [str(accepted) for accepted in target]
    return [str(target)] if kind == "texts" else str(target)


def _index(target: Any, name: str, choices: tuple[str, ...]) -> int:
    if isinstance(target, str) and target in choices:
        return choices.index(target)
    if isinstance(target, int) and 0 <= target < len(choices):
        return target
    raise BadLine(f"'{name}' that is one of the choices, or its place from 0 to {len(choices) - 1}")


def _number(text: str, name: str) -> str:
    number = final_number(text)
    if number is None:
        raise BadLine(f"'{name}' with a number")
    return written(number)


def _template(custom: CustomBenchmark, key: str) -> jinja2.Template:
    text = str(getattr(custom, key))
    try:
        return _SANDBOX.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise BadInput(Fault(f"{custom.name}: {key}", text, "a jinja2 template", f"({error.message})")) from error


def _rendered(template: jinja2.Template, seen: Row) -> str:
    try:
        return template.render(seen)
    # A template can fail in any way that Python code can. Each failure is reported with the line it failed on.
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadLine(f"the fields that the template names ({error})") from error
