"""The table of benchmarks: names, loading, faults in data, and the contents of the demo and the real data."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.evaluation.benchmarks import BENCHMARKS, find_benchmarks, is_sampled, load
from actors.evaluation.contract import BenchmarkData
from actors.evaluation.hub_files import DatasetHub
from actors.evaluation.kv_cache import cache_need
from actors.evaluation.scorers import scorer_of
from actors.items import Choose, Generate, Measure
from actors.llama.model import Model
from conf.faults import BadInput
from conf.schema.answers import Sampling

SAMPLING = Sampling()


def test_perplexity_means_both_texts_and_each_benchmark_comes_once() -> None:
    both = ("perplexity_wikitext2", "perplexity_ja_wiki")
    assert names_of(["perplexity"]) == both
    assert names_of(["perplexity_ja_wiki", "gsm8k", "perplexity"]) == (both[1], "gsm8k", both[0])


def names_of(given: list[str]) -> tuple[str, ...]:
    return tuple(benchmark.spec.name for benchmark in find_benchmarks(given))


def test_unknown_and_planned_benchmarks_are_reported_together() -> None:
    with pytest.raises(BadInput) as raised:
        find_benchmarks(["gsm8", "jcommonsenseqa", "gsm8k"])
    near, later = raised.value.faults
    assert "Did you mean 'gsm8k'?" in str(near)
    assert "not there yet" in str(later)


def test_each_benchmark_is_in_the_table_under_its_own_name() -> None:
    assert all(name == benchmark.spec.name for name, benchmark in BENCHMARKS.items())


def test_each_benchmark_names_an_existing_scorer() -> None:
    assert all(callable(scorer_of(benchmark.spec.scorer)) for benchmark in BENCHMARKS.values())


@pytest.mark.parametrize("name", ["demo_qa", "demo_choice", "perplexity_pydoc"])
def test_the_demo_needs_no_data_folder_and_always_loads_the_same(name: str, tiny: Model) -> None:
    data = load(name, data_dir=None, sampling=SAMPLING, vocabulary=tiny)
    again = load(name, data_dir=None, sampling=SAMPLING, vocabulary=tiny)
    assert data == again
    assert len({item.item_id for item in data.items}) == len(data.items) >= 60
    assert len({item.prompt_hash for item in data.items}) == len(data.items)
    assert cache_need(data, sampling=SAMPLING, vocabulary=tiny).unified_cells(8) % 256 == 0


def test_only_generated_answers_above_temperature_zero_depend_on_the_seed(tiny: Model) -> None:
    generated = load("demo_qa", data_dir=None, sampling=SAMPLING, vocabulary=tiny)
    chosen = load("demo_choice", data_dir=None, sampling=SAMPLING, vocabulary=tiny)
    assert is_sampled(generated.spec, SAMPLING)
    assert not is_sampled(generated.spec, Sampling(temperature=0.0))
    assert not is_sampled(chosen.spec, SAMPLING)


def test_no_example_of_the_demo_is_one_of_its_questions(tiny: Model) -> None:
    for name in ("demo_qa", "demo_choice"):
        for item in load(name, data_dir=None, sampling=SAMPLING, vocabulary=tiny).items:
            assert isinstance(item.task, (Generate, Choose))
            text = "".join(message.content for message in item.task.messages)
            assert text.count(text.split("\n\n")[-1].splitlines()[0]) == 1


NO_HUB = DatasetHub(endpoint="http://127.0.0.1:9")
"""No server listens there."""


@pytest.mark.parametrize("name", ["gsm8k", "math", "arc_challenge", "mgsm_ja", "perplexity_wikitext2"])
def test_without_a_data_folder_and_a_hub_the_message_says_what_to_give(name: str, tmp_path: Path, tiny: Model) -> None:
    with pytest.raises(BadInput, match=rf"a folder that holds \S+ \(for {name}\).*Give --data-dir"):
        load(name, data_dir=None, sampling=SAMPLING, vocabulary=tiny, hub=replace(NO_HUB, cache_dir=tmp_path))


def test_a_data_set_on_no_hub_needs_a_data_folder(tiny: Model) -> None:
    with pytest.raises(BadInput, match=r"No known hub has it\. Give --data-dir"):
        load("perplexity_ja_wiki", data_dir=None, sampling=SAMPLING, vocabulary=tiny)


def test_the_message_names_a_missing_file(tmp_path: Path, tiny: Model) -> None:
    with pytest.raises(BadInput, match=r"gsm8k/test\.jsonl"):
        load("gsm8k", data_dir=tmp_path, sampling=SAMPLING, vocabulary=tiny)


def write_gsm8k(folder: Path, lines: list[str]) -> None:
    (folder / "gsm8k").mkdir()
    shots = [
        {"id": f"train-{i}", "question": f"How many? {i}", "answer": f"It is <<1+{i}=9>>9.\n#### 9"} for i in range(9)
    ]
    (folder / "gsm8k" / "train_first200.jsonl").write_text("".join(json.dumps(shot) + "\n" for shot in shots))
    (folder / "gsm8k" / "test.jsonl").write_text("\n".join(lines) + "\n")


GOOD = '{"id": "test-1", "question": "q", "answer": "#### 1,000"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "one JSON object"),
        ("[1]", "one JSON object"),
        ("", "one JSON object"),
        ('{"id": "test-2", "question": "q"}', "field 'answer'"),
        ('{"id": "test-2", "question": 3, "answer": "#### 1"}', "'question' of type str"),
        ('{"id": "test-2", "question": "q", "answer": "1"}', "#### NUMBER"),
        ('{"id": "test-1", "question": "q", "answer": "#### 1"}', "line 1 has the same"),
    ],
)
def test_a_broken_line_is_reported_with_file_and_number(line: str, said: str, tmp_path: Path, tiny: Model) -> None:
    write_gsm8k(tmp_path, [GOOD, line])
    with pytest.raises(BadInput) as raised:
        load("gsm8k", data_dir=tmp_path, sampling=SAMPLING, vocabulary=tiny)
    (fault,) = raised.value.faults
    assert fault.key.endswith("gsm8k/test.jsonl:2")
    assert said in str(fault)


def test_gsm8k_shows_eight_cleaned_examples_and_asks_for_a_number(tmp_path: Path, tiny: Model) -> None:
    write_gsm8k(tmp_path, [GOOD])
    (item,) = load("gsm8k", data_dir=tmp_path, sampling=Sampling(max_tokens=99), vocabulary=tiny).items
    assert isinstance(item.task, Generate)
    text = "".join(message.content for message in item.task.messages)
    assert text.count("Question:") == 9 and "<<" not in text
    assert text.endswith("#### 9\n\nQuestion: q\nAnswer:")
    assert (item.target, item.task.max_tokens) == ("1000", 99)


def test_a_larger_limit_extends_a_smaller_one_and_chunks_stay_in_order(tiny: Model) -> None:
    shuffled = [item.item_id for item in load("demo_qa", data_dir=None, sampling=SAMPLING, vocabulary=tiny).items]
    assert shuffled != sorted(shuffled)
    chunks = load("perplexity_pydoc", data_dir=None, sampling=SAMPLING, vocabulary=tiny).items
    assert [chunk.item_id for chunk in chunks[:2]] == ["chunk-00000", "chunk-00001"]
    first = chunks[1].task
    assert isinstance(first, Measure)
    # 512 tokens, the first replaced by BOS (the tiny model adds it), tokens 257..511 scored.
    assert (len(first.tokens), first.tokens[0], first.first_scored) == (512, tiny.bos, 257)


@pytest.fixture(scope="module")
def loaded(data_dir: Path, tiny: Model) -> Callable[[str], BenchmarkData]:
    """A function that loads a real data set once for all tests of this file."""
    return functools.cache(lambda name: load(name, data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny))


def test_the_real_data_sets_load_completely(loaded: Callable[[str], BenchmarkData]) -> None:
    gsm8k, arc = loaded("gsm8k"), loaded("arc_challenge")
    assert (len(gsm8k.items), len(arc.items)) == (879, 781)
    assert [file["name"] for file in gsm8k.source["files"]] == ["gsm8k/test.jsonl", "gsm8k/train_first200.jsonl"]
    item = arc.items[0]
    assert isinstance(item.task, Choose)
    text = "".join(message.content for message in item.task.messages)
    # The tiny model has no room for 25 examples, because its tokens are short.
    assert text.count("Question:") == 26 - item.shots_dropped
    assert 0 <= item.target < len(item.task.choices)


def test_the_other_real_data_sets_load_completely_with_the_prompts_of_their_files(
    loaded: Callable[[str], BenchmarkData],
) -> None:
    chat, math, letter, mgsm = (loaded(name) for name in ("gsm8k_chat", "math", "arc_challenge_letter", "mgsm_ja"))
    assert [len(data.items) for data in (chat, math, letter, mgsm)] == [879, 333, 781, 165]
    assert [data.shots for data in (chat, math, letter, mgsm)] == [0, 4, 25, 0]
    task = math.items[0].task
    assert isinstance(task, Generate) and len(task.messages) == 5 - math.items[0].shots_dropped
    task = letter.items[0].task
    assert isinstance(task, Generate) and task.messages[-1].content.endswith("Answer:")
    assert {item.target for item in letter.items} <= set("ABCDE")
    choices = {item.item_id: len(item.task.choices) for item in loaded("arc_challenge").items}  # type: ignore[union-attr]
    assert {item.item_id: item.n_letters for item in letter.items} == choices
    task = mgsm.items[0].task
    assert isinstance(task, Generate) and task.chat and [message.role for message in task.messages] == ["user"]
    # Benchmarks with the same problems name the same sources, also in a translation.
    gsm8k = loaded("gsm8k")
    assert gsm8k.spec.questions == chat.spec.questions == mgsm.spec.questions == "gsm8k"
    problems = {item.cluster for item in mgsm.items}
    assert len(problems) == 165 and problems <= {item.item_id for item in gsm8k.items}
    # The same questions are the same items, however they are asked.
    assert {item.item_id for item in letter.items} == {item.item_id for item in loaded("arc_challenge").items}
    assert {item.item_id: item.target for item in chat.items} == {item.item_id: item.target for item in gsm8k.items}


def test_mgsm_shows_examples_as_turns_where_the_data_folder_has_some(tmp_path: Path, tiny: Model) -> None:
    (tmp_path / "mgsm_ja").mkdir()
    (tmp_path / "mgsm_ja" / "test.jsonl").write_text('{"id": "a", "question": "いくつ？", "answer": "1,200"}\n')
    (tmp_path / "mgsm_ja" / "train.jsonl").write_text('{"id": "b", "question": "何個？", "answer": "答えは3です。"}\n')
    data = load("mgsm_ja", data_dir=tmp_path, sampling=SAMPLING, vocabulary=tiny)
    task = data.items[0].task
    assert isinstance(task, Generate) and (data.shots, data.items[0].target) == (1, "1200")
    assert [message.role for message in task.messages] == ["user", "assistant", "user"]
    assert len(data.source["files"]) == 2


def test_the_whole_math_set_is_read_where_the_data_folder_has_it(tmp_path: Path, tiny: Model) -> None:
    for name in ("math", "math_full"):
        (tmp_path / name).mkdir()
    row = {"problem": "1+1?", "solution": "It is $\\boxed{2}$.", "subject": "Algebra"}
    (tmp_path / "math" / "train50.jsonl").write_text(json.dumps({"id": "t", **row}) + "\n")
    (tmp_path / "math_full" / "test.jsonl").write_text(json.dumps({"id": "a", **row}) + "\n")
    data = load("math_full", data_dir=tmp_path, sampling=SAMPLING, vocabulary=tiny)
    assert [(item.item_id, item.target) for item in data.items] == [("a", "2")]
