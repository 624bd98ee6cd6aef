"""Judge the answers of one block: decide what needs no judge, look the rest up, ask what is missing, read the verdicts.

Nothing here decodes or sends anything: an `Asker` does. Each valid verdict is in the cache as soon as it is there, so
after a kill only the missing ones are asked. An output that is no verdict is asked for once more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from actors.judging.asking import Asker, Declined, JudgeCall, Reply
from actors.judging.cache import KnownVerdict, VerdictCache, judgement_key
from actors.judging.orders import JudgedItem, Judgement, JudgeOrder
from actors.judging.prompt import TurnToJudge, judge_messages
from actors.judging.rubrics import Rubric, n_repeats, rubric_for
from actors.judging.verdict import read_verdict
from actors.orders import ReportTokens
from actors.records import Record
from reporting.judging_reasons import CUT_WHILE_THINKING, JUDGE_FAILED, NO_JUDGE, UNREADABLE
from reporting.languages import language_of

EMPTY_ANSWER = "empty_answer"
WRONG_LANGUAGE = "wrong_language"
_SEEDS_AGAIN = 1000
"""Added to the seed of a second ask, which must not draw the same output. There are at most 20 repeats."""


@dataclass(frozen=True)
class BlockJudgements:
    """The judgements of one block."""

    judgements: tuple[Judgement, ...]
    """Nothing if the block is not complete: it counts only whole."""
    n_verdicts: int
    """Number of judgements that come from a verdict of the judge, now or earlier, also if the block is not complete."""
    n_asked: int
    """Number of calls."""
    n_cached: int
    """Number of different calls whose verdict was there already."""
    is_complete: bool
    """False: the limit on calls was reached, and some answers were not judged."""


@dataclass(frozen=True)
class _Wanted:
    """A judgement that the block needs."""

    item_id: str
    seed: int
    repeat: int
    key: str
    turn: TurnToJudge
    without_asking: str | None
    """The reason for the lowest score without asking. None: the judge is asked."""


@dataclass
class _Verdicts:
    """What is known of each key so far."""

    cache: VerdictCache
    scores: range
    valid: dict[str, KnownVerdict] = field(default_factory=dict)
    declined: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, Reply] = field(default_factory=dict)

    def look_up(self, keys: Iterable[str]) -> None:
        for key in keys:
            if (known := self.cache.read(key, self.scores)) is not None:
                self.valid[key] = known

    def keep(self, call: JudgeCall, reply: Reply | Declined) -> None:
        if isinstance(reply, Declined):
            self.declined[call.key] = reply.reason
            return
        verdict = read_verdict(reply.text, self.scores)
        if verdict is None:
            self.unreadable[call.key] = reply
            return
        self.valid[call.key] = KnownVerdict(verdict.score, reply)
        self.cache.write(call.key, self.valid[call.key])

    def is_open(self, key: str) -> bool:
        """Return whether another ask may give a verdict."""
        return key not in self.valid and key not in self.declined


def judge_block(
    order: JudgeOrder,
    records: Sequence[Record],
    open_judge: Callable[[], Asker],
    cache: VerdictCache,
    report: ReportTokens,
) -> BlockJudgements:
    """Return the judgements of a block, in the order of its records, then turns, then repeats.

    An answer that needs no judge has one judgement per turn, whatever the number of repeats is: repeats would be equal.

    Args:
        open_judge: returns the judge. It is called only if something is asked, because a GGUF takes time to load.
        report: gets the tokens of each reply, or more often.

    Raises:
        EndpointFailed, LlamaError: the judge is away. The verdicts that were given until then are in the cache.
    """
    rubric = rubric_for(order.rules.rubric, order.benchmark)
    wanted = list(_wanted_judgements(order, records, rubric))
    by_key = {one.key: one for one in wanted if one.without_asking is None}
    verdicts = _Verdicts(cache, rubric.scores)
    verdicts.look_up(by_key)
    n_cached = len(verdicts.valid)
    n_asked, over_limit = 0, set[str]()
    for again in (False, True):
        missing = [key for key in by_key if verdicts.is_open(key)]
        n_calls = len(missing) if order.calls_left is None else max(0, order.calls_left - n_asked)
        calls = [_call(by_key[key], order, rubric, again=again) for key in missing[:n_calls]]
        over_limit |= set(missing[n_calls:])
        if calls:
            open_judge().ask(calls, verdicts.keep, report)
        n_asked += len(calls)
    judgements = () if over_limit else tuple(_judgement(one, order, rubric, verdicts) for one in wanted)
    n_verdicts = sum(one.without_asking is None and one.key in verdicts.valid for one in wanted)
    return BlockJudgements(judgements, n_verdicts, n_asked, n_cached, not over_limit)


def missing_judgements(order: JudgeOrder, records: Sequence[Record], reason: str) -> tuple[Judgement, ...]:
    """Return the judgements of a block that was not judged to its end: all without a score, for this reason.

    Some verdicts may be known: those that were given until then, and those on answers that another arm has given, too.
    Neither counts alone. The arms would be compared on items that were chosen because their answers are equal.
    """
    rubric = rubric_for(order.rules.rubric, order.benchmark)
    return tuple(_row(one, order, None, reason) for one in _wanted_judgements(order, records, rubric))


def _wanted_judgements(order: JudgeOrder, records: Sequence[Record], rubric: Rubric) -> Iterator[_Wanted]:
    items = {item.item_id: item for item in order.items}
    repeats = n_repeats(order.rules, rubric)
    for record in records:
        item = items.get(record.item_id)
        if item is None or record.seed not in order.seeds or not _has_answer(record):
            continue
        for turn in _turns(item, record):
            reason = _reason_without_asking(record, turn, rubric)
            for repeat in range(1 if reason else repeats):
                key = judgement_key(order.judge, order.rules, rubric, turn, repeat)
                yield _Wanted(record.item_id, record.seed, repeat, key, turn, reason)


def _has_answer(record: Record) -> bool:
    """Return whether there is something to judge. An answer that was cut inside its thoughts counts as an answer."""
    return record.reason == CUT_WHILE_THINKING or (record.outcome == "unscored" and record.reason == NO_JUDGE)


def _turns(item: JudgedItem, record: Record) -> Iterator[TurnToJudge]:
    """Yield each turn with the turns before it. A turn that the model never reached has an empty answer."""
    texts = (*(record.earlier_texts or ()), record.text or "")
    answers = (*texts, *[""] * len(item.questions))[: len(item.questions)]
    references = (*item.references, *[None] * len(item.questions))
    for n_turns in range(1, len(item.questions) + 1):
        yield TurnToJudge(item.questions[:n_turns], answers[:n_turns], references[:n_turns], item.criteria)


def _reason_without_asking(record: Record, turn: TurnToJudge, rubric: Rubric) -> str | None:
    """Return why an answer gets the lowest score without asking, or None."""
    answer = turn.answers[-1]
    if _was_cut(record, turn.turn):
        return CUT_WHILE_THINKING
    if _is_empty(answer):
        return EMPTY_ANSWER
    if rubric.same_language and _is_in_another_language(turn, rubric):
        return WRONG_LANGUAGE
    return None


def _was_cut(record: Record, turn: int) -> bool:
    """Return whether a turn reached the token limit inside its thoughts. The last one counts for all behind it too."""
    if turn >= len(record.earlier_texts or ()):
        return record.reason == CUT_WHILE_THINKING
    return record.earlier_cuts is not None and record.earlier_cuts[turn]


def _is_empty(text: str) -> bool:
    """Return whether a text has nothing that can be seen."""
    return all(unicodedata.category(letter)[0] in "ZC" for letter in text)


def _is_in_another_language(turn: TurnToJudge, rubric: Rubric) -> bool:
    """Return whether the answer is in another language than its task wants. Unknown languages count as the right one.

    The reference answer tells the wanted language: a Japanese task may ask for a translation.
    """
    wanted = language_of(turn.references[-1] or "") or rubric.language
    return language_of(turn.answers[-1]) not in {None, wanted}


def _call(wanted: _Wanted, order: JudgeOrder, rubric: Rubric, *, again: bool) -> JudgeCall:
    # At temperature 0 the seed draws nothing, so each repeat must read something else.
    listed = wanted.repeat if order.rules.temperature == 0 else 0
    messages = judge_messages(rubric, wanted.turn, order=listed, again=again)
    return JudgeCall(wanted.key, messages, wanted.repeat + (_SEEDS_AGAIN if again else 0), rubric.scale)


def _judgement(wanted: _Wanted, order: JudgeOrder, rubric: Rubric, verdicts: _Verdicts) -> Judgement:
    key = wanted.key
    if wanted.without_asking is not None:
        return _row(wanted, order, float(rubric.scale[0]), wanted.without_asking)
    if key in verdicts.valid:
        return _row(wanted, order, float(verdicts.valid[key].score), None, reply=verdicts.valid[key].reply)
    if key in verdicts.declined:
        return _row(wanted, order, None, JUDGE_FAILED, verdicts.declined[key])
    return _row(wanted, order, None, UNREADABLE, reply=verdicts.unreadable[key])


def _row(
    wanted: _Wanted,
    order: JudgeOrder,
    score: float | None,
    reason: str | None,
    text: str | None = None,
    reply: Reply | None = None,
) -> Judgement:
    return Judgement(
        item_id=wanted.item_id,
        seed=wanted.seed,
        judge=order.judge.name,
        repeat=wanted.repeat,
        turn=wanted.turn.turn,
        key=wanted.key,
        score=score,
        reason=reason,
        text=text if reply is None else reply.text,
        model=None if reply is None else reply.model,
        fingerprint=None if reply is None else reply.fingerprint,
        prompt_tokens=None if reply is None else reply.prompt_tokens,
        completion_tokens=None if reply is None else reply.completion_tokens,
    )
