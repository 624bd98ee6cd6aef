"""Templates that loop, fill the memory, recurse or reach out: one message with the line, and the next text is fine."""

from __future__ import annotations

import pickle
import resource
import time
from collections.abc import Iterator

import psutil
import pytest

from actors.rendering import Renderer, RenderLimits, TemplateFailed, TemplateOverLimit

FINE = "{{ messages }}"


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(RenderLimits(cpu_s=0.5, memory_bytes=2**28))
    yield made
    made.close()


def one(renderer: Renderer, template: str) -> str | TemplateFailed:
    (found,) = renderer.render(template, [{"messages": ["hi"]}])
    return found


LOOP = "{% for i in range(99999) %}\n{% for j in range(99999) %}{% endfor %}{% endfor %}"
GROW = "{%% set ns = namespace(x=%s) %%}{%% for i in range(99) %%}\n{%% set ns.x = ns.x %s ns.x %%}{%% endfor %%}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            LOOP,
            "line 2: .*processor time",
        ),
        ("\n{{ lipsum(n=9999999) }}", "line 2: .*processor time"),
        ("{{ 'a' | center(10 ** 10) }}", "line 1: .* MiB of memory"),
        ("\n{{ '%9999999999d' % 1 }}", "line 2: .* MiB of memory"),
        (GROW % ("'ab'", "+"), "line 2: .* MiB of memory"),
        (GROW % ("[1]", "+"), "line 2: .* MiB of memory"),
        ("{% macro f(x) %}\n{{ f(x) }}{% endmacro %}{{ f(1) }}", "line 2: .*without end"),
        ("{% block a %}\n{{ self.a() }}{% endblock %}", "line [12]: .*without end"),
        ("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", "line 1: .*without end"),
        ("\n{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "line 2: .*nested too deeply"),
        ("{% for i in range(99999) %}\n{{ 'abc' * 9999 }}{% endfor %}", "line 2: .*far longer than what it is given"),
    ],
)
def test_a_template_that_passes_a_limit_ends_and_the_next_is_rendered(
    renderer: Renderer, template: str, said: str
) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateOverLimit, match=said):
        raise _failed(one(renderer, template))
    assert time.monotonic() - started < 30
    assert one(renderer, FINE) == "['hi']"


def child_of(renderer: Renderer) -> psutil.Process:
    assert renderer._process._process is not None
    return psutil.Process(renderer._process._process.pid)


def _failed(found: str | TemplateFailed) -> TemplateFailed:
    assert isinstance(found, TemplateFailed), found
    return found


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("\n{% for i in range(10 ** 9) %}x{% endfor %}", "line 2: Range too big"),
        ("a\n\n{{ 'a' * 10 ** 10 }}", r"line 3: the result of \* is too large"),
        ("{{ [1] * 10 ** 10 }}", r"line 1: the result of \* is too large"),
        ("{{ 10 ** 9999999999 }}", r"line 1: the result of \*\* is too large"),
        (GROW % ("3", "*"), r"line 2: the result of \* is too large"),
        ("\n{{ raise_exception('no system') }}", "line 2: no system$"),
        ("\n\n{% if %}", "line 3: Expected an expression"),
        ("\n{{ messages[9].content.x }}", "line 2: .* has no element 9"),
        ("{{ a.b }}", "line 1: 'a' is undefined"),
        ("{{ 1 / 0 }}", "line 1: division by zero"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "line 1: access to attribute '__class__' .* is unsafe"),
        ("{{ cycler.__init__.__globals__.os }}", "line 1: access to attribute '__init__' .* is unsafe"),
        ("{{ messages.append(1) }}", "line 1: access to attribute 'append' .* is unsafe"),
        ("{{ '{0.__class__.__mro__}'.format(1) }}", "line 1: access to attribute '__class__' .* is unsafe"),
        ("\n{% include '/etc/passwd' %}", "line 2: no loader"),
        ("{% unknown %}", "line 1: Encountered unknown tag 'unknown'"),
        ("{% for i in [1] %}" * 30 + "{% endfor %}" * 30, "too many statically nested blocks"),
        ("{{ '\\ud800' }}", "surrogates not allowed"),
    ],
)
def test_whatever_a_template_raises_is_one_message_with_its_line(renderer: Renderer, template: str, said: str) -> None:
    with pytest.raises(TemplateFailed, match=said) as caught:
        raise _failed(one(renderer, template))
    assert not isinstance(caught.value, TemplateOverLimit)
    assert one(renderer, FINE) == "['hi']"


def test_what_nothing_can_interrupt_is_killed_by_the_kernel() -> None:
    renderer = Renderer(RenderLimits(cpu_s=0.2))
    # One sum of large numbers: it takes much longer than the limit, and no Python code runs meanwhile.
    found = one(renderer, "{{ ([2 ** 2000000] * 4000000) | sum > 2 }}")
    assert isinstance(found, TemplateOverLimit) and str(found) == "it takes more than 0.2 s of processor time"
    assert one(renderer, FINE) == "['hi']"
    renderer.close()


def test_a_process_that_hangs_is_killed_by_the_clock() -> None:
    renderer = Renderer(RenderLimits(wall_s=0.3))
    assert one(renderer, FINE) == "['hi']"
    child_of(renderer).suspend()
    assert isinstance(one(renderer, "{{ messages }}!"), TemplateOverLimit)
    assert one(renderer, "{{ messages }}!!") == "['hi']!!"
    renderer.close()


def test_a_process_that_somebody_ended_is_started_again() -> None:
    renderer = Renderer()
    assert one(renderer, FINE) == "['hi']"
    child_of(renderer).kill()
    psutil.wait_procs([child_of(renderer)], timeout=5)
    assert one(renderer, "{{ messages }}!") == "['hi']!"
    renderer.close()


def test_many_texts_keep_their_order_and_are_rendered_once() -> None:
    renderer = Renderer()
    asked = [{"n": number % 90} for number in range(200)]
    template = "{% if n == 7 %}{{ raise_exception('seven') }}{% endif %}{{ n }}"
    found = renderer.render(template, asked)
    assert [str(text) for text in found] == ["line 1: seven" if n % 90 == 7 else str(n % 90) for n in range(200)]
    renderer.close()
    assert renderer.render(template, asked) == found
    assert renderer._process._process is None  # nothing was asked again
    assert renderer.render(template, [{"n": 7}], kind="prompt")[0] != found[7]
    renderer.close()


def test_after_a_limit_no_other_text_of_the_template_is_tried() -> None:
    renderer = Renderer(RenderLimits(cpu_s=0.2))
    template = (
        "{% if n > 40 %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = renderer.render(template, [{"n": number} for number in range(2000)])
    renderer.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 5
    assert [isinstance(text, TemplateOverLimit) for text in found] == [n > 40 for n in range(2000)]


def test_many_texts_that_each_keep_to_the_limits_do_not_pass_them_together() -> None:
    slow = Renderer(RenderLimits(cpu_s=0.5))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    template = "{% for i in range(99999) %}{% endfor %}{{ n }}"
    found = slow.render(template, [{"n": number} for number in range(10_000)])
    slow.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 4
    with pytest.raises(TemplateOverLimit, match=r"more than 1\.5\d* s of processor time"):
        raise _failed(found[-1])
    long = Renderer(RenderLimits(characters=10**7))
    found = long.render("{{ 'x' * 10 ** 6 }}{{ n }}", [{"n": number} for number in range(1000)])
    long.close()
    assert sum(isinstance(text, str) for text in found) == 9
    with pytest.raises(TemplateOverLimit, match="far longer"):
        raise _failed(found[-1])


def test_ten_thousand_texts_take_less_than_two_seconds() -> None:
    made = Renderer()
    rows = [{"id": str(n), "question": f"What is {n} plus {n}?" * 5} for n in range(10_000)]
    template = 'Q: {{ question }}\n{% for one in "abc" %}{{ loop.index }}. {{ one }}\n{% endfor %}A:'
    made.check(template, "prompt")  # starts the process
    spent = time.process_time() + sum(child_of(made).cpu_times()[:2])
    found = made.render(template, rows, kind="prompt")
    spent = time.process_time() + sum(child_of(made).cpu_times()[:2]) - spent
    made.close()
    assert found[1] == "Q: " + rows[1]["question"] + "\n1. a\n2. b\n3. c\nA:"
    print(f"{spent:.2f} s")
    assert spent < 2


@pytest.mark.parametrize(("template", "said"), [("{{ n", "line 1: unexpected end"), ("{{ n }}", None)])
def test_a_template_is_checked_without_running_it(renderer: Renderer, template: str, said: str | None) -> None:
    failed = renderer.check(template, "prompt")
    assert failed is None if said is None else said in str(failed)


def test_an_error_crosses_processes() -> None:
    sent = pickle.loads(pickle.dumps(TemplateFailed("no system", 3)))
    assert str(sent) == "line 3: no system"
