"""The rubrics: by which levels and points a judge scores an answer. Each has a name, a version and its own words.

- `elyza_2023`: 1 to 5 against each task's own criteria, in Japanese. Levels and deductions mean the same as those that
  ELYZA published with ELYZA-tasks-100 (https://zenn.dev/elyza/articles/5e7d9373c32a98), so that scores compare.
- `elyza_strict`: the same, but an answer in another language than its task gets the lowest score without asking.
- `mt_bench_single`: 1 to 10 for each turn by the aspects of MT-Bench's single-answer grading (arXiv 2306.05685,
  appendix), in the language of the benchmark.

Repeats at temperature 0 must differ in what the judge reads. So levels can be listed from either end, and the points
in several orders. Criteria of a task are never put in another order: their lines may refer to each other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from actors.hashing import content_hash
from actors.judging.orders import JudgeRules

RubricLanguage = Literal["ja", "en"]


@dataclass(frozen=True)
class Rubric:
    """How answers are scored, in words for the judge."""

    name: str
    version: int
    """Raise it whenever the same answer may get another score."""
    language: RubricLanguage
    """The language of the prompt, and of the tasks."""
    scale: tuple[int, int]
    """Lowest and highest score. All whole numbers between are allowed."""
    task: str
    """What the judge has to do."""
    levels: tuple[str, ...]
    """What single scores mean, from the lowest. Empty: only the ends of the scale are named, in `task`."""
    points: tuple[str, ...]
    """What the judge looks at. They do not depend on each other, so any order means the same. At least two."""
    remarks: tuple[str, ...]
    """What else holds, in a fixed order."""
    same_language: bool = False
    """True: an answer that is not in the language of its task gets the lowest score without asking."""

    @property
    def scores(self) -> range:
        """The scores that may be given."""
        return range(self.scale[0], self.scale[1] + 1)

    @property
    def content_hash(self) -> str:
        """Hash of everything that the rubric says. It is in the key of every judgement."""
        return content_hash(asdict(self))

    @property
    def n_orders(self) -> int:
        """Number of different orders of its levels and points."""
        return len(_orders(len(self.points))) * (2 if self.levels else 1)

    def in_order(self, number: int) -> Rubric:
        """Return the same rubric with levels and points in order `number`. Orders repeat after `n_orders`."""
        orders = _orders(len(self.points))
        points = tuple(self.points[place] for place in orders[number % len(orders)])
        # The second order changes both. The shift after each round keeps the rounds apart.
        from_the_top = (number + number // len(orders)) % 2 == 1
        return replace(self, levels=self.levels[::-1] if from_the_top else self.levels, points=points)


def _orders(n_points: int) -> list[tuple[int, ...]]:
    """Return different orders of the points: each rotation forwards and backwards. Their number is even."""
    places = tuple(range(n_points))
    rotations = [places[start:] + places[:start] for start in places]
    orders = [order for rotation in rotations for order in (rotation, rotation[::-1])]
    return list(dict.fromkeys(orders))


_ELYZA_2023 = Rubric(
    name="elyza_2023",
    version=1,
    language="ja",
    scale=(1, 5),
    task="課題に対する AI アシスタントの回答を、1 から 5 までの整数で採点してください。",
    levels=(
        "1 点：間違っている。または、指示どおりになっていない",
        "2 点：間違っているが、目指す方向は正しい",
        "3 点：正しいところと間違っているところがある",
        "4 点：正しい",
        "5 点：正しく、しかも相手の役に立つ",
    ),
    points=(
        "日本語に不自然なところがあれば、1 点を引く",
        "事実と違う内容が一部にあれば、1 点を引く",
        "安全や倫理を気にしすぎて、答えられる課題に答えていなければ、2 点とする",
    ),
    remarks=(
        "課題ごとの採点基準（CRITERIA）があれば、上の共通の基準より優先する",
        "正解例（REFERENCE）は一つの例であり、内容が違っていても正しければ点を引かない",
        "点を引いて 1 点を下回るときは、1 点とする",
    ),
)
_ELYZA_STRICT = replace(_ELYZA_2023, name="elyza_strict", same_language=True)
_MT_BENCH_EN = Rubric(
    name="mt_bench_single",
    version=1,
    language="en",
    scale=(1, 10),
    task="Score an AI assistant's answer to a user with a whole number from 1 (worst) to 10 (best).",
    levels=(),
    points=(
        "Helpfulness: does the user get what was asked for, with every instruction followed?",
        "Relevance: does it keep to the question?",
        "Accuracy: are facts, arguments, calculations and code right?",
        "Depth: does it go into the matter as far as the question calls for?",
        "Creativity: are there ideas of its own where the question invites them?",
        "Detail: are there as many details as the user needs, and no more?",
    ),
    remarks=(
        "If there is a REFERENCE, compare the answer with it first and look for mistakes. An answer that disagrees "
        "with a reference on a matter of fact is wrong; one that only says it in another way is not",
        "If the conversation has several turns, score only the last answer (ANSWER), as the reply to what came before",
        "Length alone earns no points",
    ),
)
_MT_BENCH_JA = Rubric(
    name="mt_bench_single",
    version=1,
    language="ja",
    scale=(1, 10),
    task="利用者に対する AI アシスタントの回答を、1（最低）から 10（最高）までの整数で採点してください。",
    levels=(),
    points=(
        "有用さ：求められたものを返し、指示をすべて守っているか",
        "関連性：質問から外れていないか",
        "正確さ：事実、論理、計算、コードは正しいか",
        "深さ：質問に見合うところまで掘り下げているか",
        "独創性：工夫が求められる質問に、独自の発想で答えているか",
        "詳しさ：必要な詳しさがあり、余計なことを書いていないか",
    ),
    remarks=(
        "正解例（REFERENCE）があれば、まず回答と比べて誤りを探す。事実が正解例と食い違う回答は誤りとし、"
        "言い方が違うだけの回答は誤りとしない",
        "やりとりが何回か続く場合は、それまでの流れを踏まえ、最後の回答（ANSWER）だけを採点する",
        "利用者がほかの言語を求めていないのに日本語で答えていなければ、点を低くする",
        "長いというだけで点を高くしない",
    ),
)
RUBRICS: dict[str, dict[RubricLanguage, Rubric]] = {
    "elyza_2023": {"ja": _ELYZA_2023},
    "elyza_strict": {"ja": _ELYZA_STRICT},
    "mt_bench_single": {"en": _MT_BENCH_EN, "ja": _MT_BENCH_JA},
}
"""The rubrics by name, then by language."""


def rubric_for(name: str, benchmark: str) -> Rubric:
    """Return the rubric of this name in the language of a benchmark: Japanese if its name ends with `_ja`.

    A rubric that has one language is used for every benchmark. Raise `KeyError` for an unknown name.
    """
    variants = RUBRICS[name]
    wanted: RubricLanguage = "ja" if benchmark.endswith("_ja") else "en"
    return variants.get(wanted) or next(iter(variants.values()))


def n_repeats(rules: JudgeRules, rubric: Rubric) -> int:
    """Return how often each answer is judged. It is less than `rules.repeats` if some calls would be equal.

    Above temperature 0 each repeat draws with a seed of its own. At temperature 0 each sees another order of levels and
    points, and there are no more repeats than orders.
    """
    return rules.repeats if rules.temperature > 0 else min(rules.repeats, rubric.n_orders)
