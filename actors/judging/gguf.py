"""Ask a judge that is a GGUF, by our own engine: all calls of a block in one batch.

Its output follows a grammar, so that even a small model gives a verdict that can be read. Reason and score are the
model's own choice. It does not think before: its reason is what it says first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from actors.engines import CONTEXT_TOO_LONG, Answer
from actors.engines.llama import LlamaEngine, Prepared
from actors.errors import LlamaError
from actors.items import Generate, Item
from actors.judging.asking import Declined, JudgeCall, KeepReply, Reply
from actors.judging.orders import JudgeModel, JudgeRules
from actors.judging.verdict import verdict_grammar
from actors.llama.layout import EngineLayout
from actors.orders import ReportTokens
from conf.schema.answers import Sampling


class GgufJudge:
    """One loaded GGUF, as a judge."""

    def __init__(self, judge: JudgeModel, rules: JudgeRules) -> None:
        """Load the model. Raise `LlamaError` if llama.cpp cannot load it."""
        if judge.gguf_path is None or judge.layout is None:
            raise TypeError(f"{judge.name}: a judge without an endpoint needs a GGUF and a layout")
        self._engine = LlamaEngine(judge.gguf_path, judge.layout, raw=True)
        self._most_tokens = most_tokens(judge.layout)
        self._sampling = Sampling(temperature=rules.temperature, max_tokens=rules.max_tokens)
        self._name, self._sha256 = os.path.basename(judge.gguf_path), judge.gguf_sha256

    def close(self) -> None:
        """Free the model."""
        self._engine.close()

    def ask(self, calls: Sequence[JudgeCall], keep: KeepReply, report: ReportTokens) -> None:
        """Ask all calls at once. Those that do not fit the context are declined. Raise `LlamaError` if it fails."""
        self._engine.grammar = verdict_grammar(calls[0].scale, self._sampling.max_tokens)
        fitting: list[tuple[JudgeCall, Item]] = []
        for call in calls:
            item = self._item(call)
            prepared = self._engine.generation_request(item, self._sampling)
            if not isinstance(prepared, Prepared):
                keep(call, Declined(prepared.reason))
            elif len(prepared.request.tokens) + prepared.request.most_tokens > self._most_tokens:
                keep(call, Declined(CONTEXT_TOO_LONG))
            else:
                fitting.append((call, item))
        if not fitting:
            raise LlamaError(
                f"no prompt of {len(calls)} fits the context of the judge ({self._most_tokens} tokens, of which "
                f"{self._sampling.max_tokens} are for the verdict). Take a judge with a longer context, or a smaller "
                "judging.max_tokens"
            )
        answers = self._engine.generate([item for _, item in fitting], [0], self._sampling, report)
        for (call, _), answer in zip(fitting, answers, strict=True):
            keep(call, self._reply(answer) if isinstance(answer, Answer) else Declined(answer.reason))

    def _item(self, call: JudgeCall) -> Item:
        # The engine's noise depends on the item's id: calls of different answers, repeats and asks draw differently.
        name = f"{call.key}.{call.seed}"
        return Item(name, Generate(call.messages, True, (), self._sampling.max_tokens), None, name)

    def _reply(self, answer: Answer) -> Reply:
        return Reply(answer.text, self._name, self._sha256, answer.prompt_tokens, answer.completion_tokens)


def most_tokens(layout: EngineLayout) -> int:
    """Return how many tokens the prompt and the verdict of one call may have together."""
    return layout.n_ctx if layout.kv_unified else layout.n_ctx // (layout.sequences + 2)
