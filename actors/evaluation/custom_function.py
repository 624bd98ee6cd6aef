"""Custom benchmarks written as a Python function. The function is called once per model and seed, in its own process.

    def evaluate_custom_benchmark(model_path, benchmark_config): ...

`model_path` is the GGUF file of an arm. `benchmark_config` is a mapping: `name`, `seed`, `limit`, `data_dir`,
`threads`, `sampling` (temperature, top_p, top_k, min_p, max_tokens) and `options` (from the YAML file).
It returns one of

- a mapping from item id to score,
- a list of mappings with `item_id` and `score`, and optionally `answer`, `text`, `reason`,
- one number, which is shown without an interval because its uncertainty is unknown. It informs only: verdicts leave it
  out.

A score of 1 or more counts as correct, any other as wrong. Means are taken over the scores themselves. A score of None
is unscored, and so is one that statistics cannot work with: no number, not finite, beyond `LARGEST_SCORE`, or outside
the scale that the YAML file declares (`scale: [1, 5]`; [0, 1] if the metric is accuracy). If the
function fails (an exception, a crash, its time limit), only its own blocks fail.

The file is loaded only here, only from the path that the user named, and never in a worker's own process.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from actors.errors import FunctionFailed
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, SourceFile
from actors.hashing import content_hash, file_sha256
from actors.items import Call, Item, Scorer
from actors.orders import BlockOrder
from actors.own_process import OwnProcess, ProcessEnded
from actors.records import Record
from conf.custom_benchmarks import LARGEST_SCORE, WHOLE, CustomBenchmark
from conf.faults import BadInput, Fault
from conf.user_files import SMALL_FILE_BYTES, read_user_bytes

FUNCTION = "evaluate_custom_benchmark"
PROGRAM = Path(__file__).with_name("function_process.py")
LOG_LINES = 20


def function_benchmark(custom: CustomBenchmark, path: Path, folder: Path) -> Benchmark:
    """Return the benchmark of a Python file, without running the file. Raise `BadInput` if the function is missing.

    `folder` is where the user's file is that names the benchmark.
    """
    _check(path, folder)
    title = custom.title or custom.name

    def load(inputs: LoaderInputs) -> RawData:
        call = Call(
            file=str(path),
            sha256=file_sha256(path),
            options=dict(custom.options),
            limit=inputs.limit,
            data_dir=str(inputs.data_dir) if inputs.data_dir else None,
            time_limit_s=custom.time_limit_s,
            scale=custom.score_scale,
        )
        return RawData((RawItem(WHOLE, call, None),), (SourceFile(path.name, call.sha256),))

    spec = BenchmarkSpec(
        name=custom.name,
        version=2,
        kind="function",
        metric=custom.metric,
        higher_is_better=custom.higher_is_better,
        shots=0,
        title={"en": title, "ja": title},
        url=custom.source,
        licence=custom.licence,
        revision="a file of the user's own",
        scorer=Scorer("function"),
        sampled=custom.sampled,
        scale=custom.score_scale,
        category=custom.category,
    )
    return Benchmark(spec, load)


def _check(path: Path, folder: Path) -> None:
    source = read_user_bytes(path, key="--benchmarks", what="Python file", limit_bytes=SMALL_FILE_BYTES, within=folder)
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadInput(Fault("--benchmarks", str(path), "a readable Python file", f"({error})")) from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == FUNCTION]
    # The file may import or assign the function instead of defining it. The call will show whether that works.
    named = functions or any(FUNCTION in ast.dump(node) for node in tree.body)
    if not named:
        raise BadInput(Fault("--benchmarks", str(path), f"a Python file with {FUNCTION}(model_path, benchmark_config)"))


def evaluate_function(order: BlockOrder) -> tuple[Record, ...]:
    """Return the records of a block, sorted by item id and then by seed. Raise `FunctionFailed` if a call fails."""
    (item,) = order.items
    records = [record for seed in order.seeds for record in _records(order, item, seed)]
    return tuple(sorted(records, key=lambda record: (record.item_id, record.seed)))


def _records(order: BlockOrder, item: Item, seed: int) -> list[Record]:
    given = _call(order, item, seed)
    if isinstance(given, int | float):
        # True and False are scores of an item, but no result of a whole benchmark.
        return [_record(item, WHOLE, seed, str(given) if isinstance(given, bool) else given, {})]
    if isinstance(given, Mapping):
        given = [{"item_id": item_id, "score": score} for item_id, score in given.items()]
    if not isinstance(given, list) or not given or not all(isinstance(one, Mapping) for one in given):
        raise FunctionFailed(f"{FUNCTION} returned {str(given)[:200]!r}; allowed: see conf/docs/benchmarks.md")
    ids = [str(one.get("item_id", one.get("id"))) for one in given]
    if len(set(ids)) != len(ids) or "None" in ids:
        raise FunctionFailed(f"{FUNCTION} returned {len(ids)} items with {len(set(ids))} ids; each needs its own id")
    return [_record(item, item_id, seed, one.get("score"), one) for item_id, one in zip(ids, given, strict=True)]


def _record(item: Item, item_id: str, seed: int, score: Any, row: Mapping[str, Any]) -> Record:
    prompt_hash = content_hash({"call": item.prompt_hash, "item": item_id})
    text, answer, reason = (None if row.get(key) is None else str(row[key]) for key in ("text", "answer", "reason"))
    record = Record(item_id, seed, prompt_hash, None, "unscored", reason=reason, text=text, answer=answer)
    if score is None:
        return replace(record, reason=reason or "no_score")
    scale = item.task.scale if isinstance(item.task, Call) else None
    if (unusable := _why_unusable(score, scale)) is not None:
        return replace(record, reason=unusable)
    return replace(record, outcome="correct" if score >= 1 else "wrong", score=float(score))


def _why_unusable(score: Any, scale: tuple[float, float] | None) -> str | None:
    """Return the reason why statistics cannot work with a score; None if they can."""
    if not isinstance(score, int | float):
        return "score_is_no_number"
    if isinstance(score, float) and not math.isfinite(score):
        return "score_not_finite"
    if abs(score) > LARGEST_SCORE:
        return "score_out_of_range"
    return None if scale is None or scale[0] <= score <= scale[1] else "score_outside_scale"


def _call(order: BlockOrder, item: Item, seed: int) -> Any:
    """Call the function and return its result. Raise `FunctionFailed` with the last lines that it printed."""
    call = item.task
    if not isinstance(call, Call):
        raise TypeError(f"{item.item_id}: a Call expected, got {type(call).__name__}")
    if file_sha256(call.file) != call.sha256:
        raise FunctionFailed(f"{call.file} has changed since it was planned. Start the run again")
    config = {
        "name": order.benchmark,
        "seed": seed,
        "limit": call.limit,
        "data_dir": call.data_dir,
        "threads": order.layout.threads,
        "sampling": order.sampling.model_dump(),
        "options": dict(call.options),
    }
    question = {"file": call.file, "model_path": order.gguf_path, "config": config}
    # A process of its own for each call: nothing that the function leaves behind can change the next call.
    process = OwnProcess(PROGRAM, f"the process of {FUNCTION} does not start", log_lines=LOG_LINES)
    try:
        answer = process.ask(question, wall_s=call.time_limit_s)
    except ProcessEnded as error:
        late = f"took longer than its limit of {call.time_limit_s:g} s"
        what = f"{FUNCTION} of {Path(call.file).name} {late if error.over_time else f'failed ({error})'}"
        raise FunctionFailed(what, error.log_tail) from None
    finally:
        process.close()
    return json.loads(answer, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping of the result. JSON writes the keys 1 and "1" alike; one must not replace the other."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise FunctionFailed(f"{FUNCTION} returned {len(pairs)} items with {len(mapping)} ids; each needs its own id")
    return mapping


def call_identity(call: Call) -> dict[str, Any]:
    """Return the parts of a call that can change its result. Paths and the time limit are not among them."""
    identity = {key: value for key, value in asdict(call).items() if key in ("sha256", "options", "limit")}
    return identity if call.scale is None else identity | {"scale": list(call.scale)}
