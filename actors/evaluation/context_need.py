"""How many KV cells the blocks of a benchmark need, so that the engine never waits for room.

The engine keeps within whatever context it is given (it starts fewer sequences at once); this file says how
much lets it run at full width. Token counts are upper bounds: a prompt split in two never has fewer tokens
than the whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from actors.chat import Prompt, TemplateFailed, render_prompt
from actors.llama.model import Model
from actors.work import Choose, Generate, Measure, Task

CELL_STEP = 256  # llama.cpp pads its KV cache to multiples of this
_SEAM = 8  # tokens by which a cut at a text position may differ from a cut at a token's border


def cells_of_generation(
    tasks: Sequence[Task], sequences: int, max_tokens: int, model: Model, chat_template: str | None = None
) -> int:
    """Shared prefix + for each sequence an item of its own and a full answer + one item that waits for its seeds."""
    asked = [task for task in tasks if isinstance(task, Generate)]
    prefix, own = _lengths([_rendered(task, model, chat_template) for task in asked], model)
    answer = max((min(task.max_tokens, max_tokens) for task in asked), default=0)
    return _rounded(prefix + (sequences + 1) * max(own, default=0) + sequences * answer)


def cells_of_choices(tasks: Sequence[Task], sequences: int, model: Model, chat_template: str | None = None) -> int:
    """Shared prefix + as many items at once as have a sequence for each of their choices."""
    asked = [task for task in tasks if isinstance(task, Choose)]
    prefix, own = _lengths([_rendered(task, model, chat_template) for task in asked], model)
    cells = [
        own_tokens + sum(len(_tokens(choice, model)) + _SEAM for choice in task.choices)
        for own_tokens, task in zip(own, asked, strict=True)
    ]
    fewest = min((len(task.choices) for task in asked), default=1)
    return _rounded(prefix + max(cells, default=0) * max(1, sequences // fewest))


def cells_of_chunks(tasks: Sequence[Task]) -> int:
    """One chunk: each is decoded alone, from an empty cache."""
    return _rounded(max((len(task.tokens) for task in tasks if isinstance(task, Measure)), default=0))


def _rendered(task: Generate | Choose, model: Model, chat_template: str | None) -> Prompt:
    try:
        return render_prompt(task.messages, chat=task.chat, model=model, template_instead=chat_template)
    except TemplateFailed:
        return Prompt("", add_special=False, parse_special=False)  # it will be refused: no cells


def _lengths(prompts: Sequence[Prompt], model: Model) -> tuple[int, list[int]]:
    """Tokens of the common beginning of all prompts, and of the rest of each."""
    texts = [prompt.text for prompt in prompts if prompt.text]
    common = os.path.commonprefix(texts) if len(texts) > 1 else ""  # noqa: RUF071 - of characters, as wanted
    rest = [len(_tokens(prompt.text[len(common) :], model)) + _SEAM if prompt.text else 0 for prompt in prompts]
    return len(_tokens(common, model)) + _SEAM, rest


def _tokens(text: str, model: Model) -> list[int]:
    return model.tokenize(text, add_special=False, parse_special=True)


def _rounded(cells: int) -> int:
    return max(CELL_STEP, -(-cells // CELL_STEP) * CELL_STEP)
