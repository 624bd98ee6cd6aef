"""The program that renders jinja2 templates. `rendering` runs it in an `OwnProcess`.

Templates come from GGUF files and from users, so they are untrusted code. They run in jinja2's immutable sandbox. Chat
templates get what transformers gives them (https://huggingface.co/docs/transformers/chat_templating_writing), apart
from the clock and from chance: a prompt must not change from day to day.

A question holds `template`, `kind`, `variables` (one mapping per text to render), `cpu_s` and `characters` (what all
texts together may take). The answer holds `cpu_s` (what they took) and `results`, an object for each text: `text`, or
`error` and `line`, or `limit` (the limit that was passed) and `line`. The results end with the first text that passes a
limit. A template that cannot be read gives one result, with the mark `unreadable`.
"""

import datetime
import functools
import json
import random
import signal
from collections.abc import Callable, Generator, Mapping
from typing import Any, NoReturn, TypeVar, cast

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

T = TypeVar("T")
FIXED_DATE = datetime.datetime(2025, 1, 1)
"""The date that templates get when they ask for today's date."""
FREE_CHARACTERS = 2**20
"""A text may have this many characters, and in addition `GROWTH` times those of its variables."""
GROWTH = 16
LARGEST_PRODUCT = 2**22
"""The most characters, items or bits that a product or a power may have."""
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    jinja2.TemplateError,
)
"""What a template can raise. Any other error ends the process."""
_FILE_NAME = "<template>"  # jinja2's name for a template that is not a file, in the frames of its errors


class OverLimit(Exception):
    """Raised if rendering takes too much of something: `args[0]` says of what."""


class Generation(jinja2.ext.Extension):
    """The tags `{% generation %}` and `{% endgeneration %}`, which mark what the assistant said. Only the text counts.

    As in transformers the inside is a block of its own: variables that are set there are not seen outside.
    """

    tags = {"generation"}  # noqa: RUF012 - declared so by jinja2

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        """Read up to the end tag."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Any) -> str:
        return str(caller())


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """jinja2's sandbox, which also refuses products and powers so large that nothing could interrupt them."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate a product or a power."""
        if (_power_size if operator == "**" else _product_size)(left, right) > LARGEST_PRODUCT:
            raise OverflowError(f"the result of {operator} is too large")
        return super().call_binop(context, operator, left, right)


def _power_size(base: Any, exponent: Any) -> int:
    return base.bit_length() * max(exponent, 0) if isinstance(base, int) and isinstance(exponent, int) else 0


def _product_size(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() + right.bit_length()
    for one, count in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(count, int):
            return len(one) * max(count, 0)
    return 0


def _not_null(value: Any) -> Any:
    """Return a value that a template shows. Raise `ValueError` for null, which would be shown as "None"."""
    if value is None:
        raise ValueError("it shows a field that is null")
    return value


def _environment(kind: str) -> jinja2.Environment:
    if kind == "prompt":  # of a custom benchmark
        return Sandbox(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_not_null)
    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.globals["raise_exception"] = _raise_exception
    made.globals["strftime_now"] = FIXED_DATE.strftime
    made.filters["tojson"] = _to_json
    return made


@functools.lru_cache(maxsize=8)
def _compiled(template: str, kind: str) -> jinja2.Template:
    return _environment(kind).from_string(template)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own filter escapes for HTML, which would put \u003c into prompts.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def start() -> Callable[[Mapping[str, Any]], str]:
    """Return the function that answers."""
    signal.signal(signal.SIGPROF, _over_time)
    return _answer


def _over_time(signum: int, frame: object) -> NoReturn:
    raise OverLimit("time")


def _answer(question: Mapping[str, Any]) -> str:
    signal.setitimer(signal.ITIMER_PROF, question["cpu_s"])
    results = _results(question["template"], question["kind"], question["variables"], question["characters"])
    left_s, _ = signal.setitimer(signal.ITIMER_PROF, 0)
    return json.dumps({"cpu_s": question["cpu_s"] - left_s, "results": results})


def _results(template: str, kind: str, variables: list[dict[str, Any]], characters: int) -> list[dict[str, Any]]:
    compiled = _tried(lambda: _compiled(template, kind))
    if isinstance(compiled, dict):
        return [compiled | {"unreadable": True}]
    results: list[dict[str, Any]] = []
    for one in variables:
        rendered = _tried(functools.partial(_joined, compiled, one, characters))
        if isinstance(rendered, str):
            characters -= len(rendered)
            rendered = {"text": rendered}
        results.append(rendered)
        if "limit" in rendered:
            break
    return results


def _tried(work: Callable[[], T]) -> T | dict[str, Any]:
    """Return what `work` returns, or how it failed."""
    random.seed(0)  # filters such as `random` draw from it
    try:
        return work()
    except OverLimit as error:
        return {"limit": error.args[0], "line": _line_of(error)}
    except MemoryError as error:
        return {"limit": "memory", "line": _line_of(error)}
    except RecursionError as error:
        return {"limit": "depth", "line": _line_of(error)}
    except FAILURES as error:
        return {"error": _message(error), "line": _line_of(error)}


def _joined(template: jinja2.Template, variables: Mapping[str, Any], characters: int) -> str:
    most = min(FREE_CHARACTERS + GROWTH * len(json.dumps(variables)), characters)
    pieces: list[str] = []
    length = 0
    stream = cast(Generator[str, None, None], template.generate(variables))
    for piece in stream:
        pieces.append(piece)
        length += len(piece)
        if length > most:
            stream.throw(OverLimit("length"))  # raises it in the template, at the line that made the text too long
    text = "".join(pieces)
    text.encode()  # fails for half of a surrogate pair, which no tokenizer takes
    return text


def _message(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return error.msg  # its line is one of the Python code that jinja2 makes from the template
    text = error.message if isinstance(error, jinja2.TemplateError) else str(error)
    return (text or type(error).__name__)[:500]


def _line_of(error: BaseException) -> int | None:
    """Return the line of the template at which it failed, if it can be known.

    jinja2 puts it into the frames of errors of a running template. While a template is read, its parser knows it.
    """
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    running, reading, place = None, None, error.__traceback__
    while place is not None:
        frame = place.tb_frame
        if frame.f_code.co_filename == _FILE_NAME:
            running = place.tb_lineno
        if isinstance(owner := frame.f_locals.get("self"), jinja2.parser.Parser):
            reading = owner.stream.current.lineno
        elif isinstance(node := frame.f_locals.get("node"), jinja2.nodes.Node):
            reading = node.lineno or reading
        place = place.tb_next
    return reading if running is None else running
