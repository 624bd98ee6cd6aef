"""The judging worker: it keeps its judge loaded (or an endpoint open) and judges the blocks it is given.

It is a plain class. `ray.remote` is applied where it is started.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict

from actors.json_lines import write_jsonl
from actors.judging.answers import answers_of
from actors.judging.asking import Asker
from actors.judging.cache import VerdictCache
from actors.judging.gguf import GgufJudge
from actors.judging.judge import judge_block
from actors.judging.orders import JudgeModel, JudgeOrder, JudgeRules, JudgeSummary
from actors.orders import ReportTokens
from actors.stored_files import JudgementsFolder
from conf.environment import read_judge_key
from conf.files import exists, write_json


class JudgingWorker:
    """A worker that judges one block at a time."""

    def __init__(self) -> None:
        self._asker: tuple[JudgeModel, JudgeRules, Asker] | None = None

    def judge(self, order: JudgeOrder, progress: ReportTokens) -> JudgeSummary:
        """Judge the answers of one block and write the judgements, unless the limit on calls left some without.

        Raises `LlamaError` or `EndpointFailed` if the judge is away. After any error the next block opens it anew.
        """
        records = answers_of(order)
        self._note(order)
        with contextlib.ExitStack() as after_errors:
            after_errors.callback(self.close)
            cache = VerdictCache(order.cache_dir)
            judged = judge_block(order, records, lambda: self._asker_for(order), cache, progress)
            after_errors.pop_all()
        if judged.is_complete:
            write_jsonl(order.output_path, judged.judgements)
        return JudgeSummary(order.output_path, judged.n_asked, judged.n_cached, judged.n_verdicts)

    def pid(self) -> int:
        """Return this worker's process id, so that its memory can be watched."""
        return os.getpid()

    def close(self) -> None:
        """Free the model or close the endpoint."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker[2].close()

    def _note(self, order: JudgeOrder) -> None:
        meta = JudgementsFolder.of(order.output_path).meta
        if not exists(meta):
            write_json(meta, {"judge": order.judge.name, "rules": asdict(order.rules)})

    def _asker_for(self, order: JudgeOrder) -> Asker:
        if self._asker is None or self._asker[:2] != (order.judge, order.rules):
            self.close()
            self._asker = (order.judge, order.rules, _asker(order.judge, order.rules))
        return self._asker[2]


def _asker(judge: JudgeModel, rules: JudgeRules) -> Asker:
    if judge.endpoint is None:
        return GgufJudge(judge, rules)
    # Imported here, because a judge that is a GGUF needs no client, which takes a second to import.
    from actors.judging.endpoint import EndpointJudge

    return EndpointJudge(judge.endpoint, rules, read_judge_key())
