"""The judges of the configuration: their addresses and files, checked before the start.

A judge behind an endpoint may be away: answers are made in any case, and judged later. So that is a notice, not a
fault; only a judge whose model nobody has named must answer now, with the list of its models.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx2

from actors.engines.bounded_http import BoundedClient
from actors.errors import EndpointFailed
from actors.evaluation.contract import Benchmark
from actors.hashing import file_sha256
from actors.judging.families import family_of
from actors.judging.orders import JudgeModel
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.layout import EngineLayout
from actors.llama.shape import shape_of
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import Loaded, MemoryLimits
from actors.orchestrator.placement.choose import groups_of, limited
from actors.orchestrator.placement.single import place_model
from actors.orchestrator.sources.addresses import checked_address
from actors.orchestrator.sources.hashes import HashCache, gguf_sha256
from actors.orchestrator.sources.inputs import SourceModel
from actors.orchestrator.sources.kv_cache import CacheRoom, DeviceRoom, cells_allowed, host_cache_bytes
from actors.orchestrator.sources.models import Found, fetch, find
from actors.orchestrator.sources.reporter import Reporter
from actors.orders import Endpoint
from conf.environment import read_judge_key
from conf.faults import BadInput, Fault, Faults, near_names
from conf.hub_ids import SCHEME
from conf.load import PACKAGE_SCHEME
from conf.names import spelled_name
from conf.schema.judging import Judge, Judging
from conf.schema.pipeline import PipelineConfig
from conf.user_files import is_user_path, read_user_bytes
from reporting.notices import Notice

ANSWER_WITHIN_S = 5.0
"""Seconds in which a judge has to answer before the start."""
ADDRESS = "the base address of an endpoint: http://HOST:PORT/v1"
PROMPT_TOKENS = 6144
"""Longest prompt of a judge's GGUF, in tokens: rubric, question, criteria, reference and a long answer."""
MOST_SEQUENCES = 8
"""Most verdicts that a judge's GGUF writes at a time."""
_CELL_STEP = 256
_MOST_LISTED = 20
_LONGEST_LISTED = 100
"""Letters of a name of a server's list that are shown."""


@dataclass(frozen=True)
class FoundJudge:
    """A judge whose address or file was checked, but not fetched."""

    judge: Judge
    endpoint: Endpoint | None
    file: Found | None
    notice: Notice | None = None
    """What people should know of it: that its server does not answer now, or lists no model of this name."""


def find_judges(config: PipelineConfig, asked: Iterable[Benchmark]) -> tuple[FoundJudge, ...]:
    """Check all settings of the judging, and find the judges.

    If no benchmark is judged, the judges are not needed, and none is returned.

    Raises:
        BadInput: with every fault found.
    """
    judging, faults = config.judging, Faults()
    judged = {one.spec.name: one.spec.rubrics for one in asked if one.spec.rubrics}
    faults.gather(_check_rubrics, judging, judged)
    faults.gather(_check_names, judging.judges)
    if judging.human_scores is not None:
        faults.gather(read_user_bytes, judging.human_scores, key="--human-scores", what="file of scores")
    found = [faults.gather(_find_judge, judge, judging) for judge in judging.judges] if judged else []
    faults.gather(_check_models, [one for one in found if one is not None])
    if not faults.found:
        faults.gather(_check_names, [one.judge for one in found if one is not None])
    faults.stop_if_any()
    return tuple(one for one in found if one is not None)


def human_scores_sha256(judging: Judging) -> str | None:
    """Return the hash of the file with human scores; None if there is none."""
    return None if judging.human_scores is None else file_sha256(judging.human_scores)


def _check_rubrics(judging: Judging, judged: Mapping[str, Sequence[str]]) -> None:
    faults = Faults()
    for benchmark, rubric in judging.rubrics.items():
        if benchmark not in judged:
            allowed = f"a judged benchmark of this run ({', '.join(judged) or 'there is none'})"
            faults.add(Fault("judging.rubrics", benchmark, allowed, near_names(benchmark, judged)))
        elif rubric not in judged[benchmark]:
            step = near_names(rubric, judged[benchmark])
            faults.add(Fault(f"judging.rubrics.{benchmark}", rubric, f"one of {', '.join(judged[benchmark])}", step))
    faults.stop_if_any()


def _check_names(judges: Sequence[Judge]) -> None:
    """Raise `BadInput` for names that are not unique. On some disks, names that differ only in case are one folder."""
    alike = Counter(judge.name.casefold() for judge in judges)
    faults = Faults()
    for name in sorted({judge.name for judge in judges if alike[judge.name.casefold()] > 1}):
        step = "Give it another name: NAME=MODEL."
        faults.add(Fault("--judge-model", name, "judges whose names differ in more than case", step))
    faults.stop_if_any()


def _check_models(found: Sequence[FoundJudge]) -> None:
    """Raise `BadInput` if two judges are the same model: their verdicts would be counted twice."""
    models = Counter((one.endpoint.model, one.endpoint.url.rstrip("/")) for one in found if one.endpoint is not None)
    faults = Faults()
    for model, _ in sorted(key for key, n in models.items() if n > 1):
        step = "A jury needs different models. To have each answer judged more often, raise judging.repeats."
        faults.add(Fault("--judge-model", model, "a different model for each judge", step))
    faults.stop_if_any()


def _find_judge(judge: Judge, judging: Judging) -> FoundJudge:
    if judge.url is None:
        if judge.model is None:
            raise BadInput(Fault("--judge-model", judge.name, "a model, or --judge-url with the address of a server"))
        if not _may_be_file(judge.model):
            allowed = "a GGUF file, or the name of a model on the server of --judge-url"
            raise BadInput(Fault("--judge-model", judge.model, allowed, "Add --judge-url, or check the path."))
        return FoundJudge(judge, None, find(judge.model, key="--judge-model", is_model=False))
    parts = checked_address(
        judge.url, key="--judge-url", name=judge.name, allowed=ADDRESS, key_variable="JUDGE_API_KEY"
    )
    if parts.fragment:
        step = f"Give the model's name apart: --judge-model {parts.fragment}."
        raise BadInput(Fault("--judge-url", judge.url, ADDRESS, step))
    model, notice = judge.model, None
    try:
        names = _models_at(judge.url)
        if model is None:
            model = _only_model(judge.url, names)
        elif names and model not in names:
            notice = Notice(
                "model_not_listed", judge=judge.name, address=str(judge.url), model=model, listed=_listed(names)
            )
    except EndpointFailed as error:
        if model is None:
            step = "Start the server, or name its model with --judge-model: then it may answer later."
            raise BadInput(Fault("--judge-url", judge.url, f"a server that answers ({error})", step)) from None
        notice = Notice("judge_away", judge=judge.name, address=str(judge.url), error=str(error))
    endpoint = Endpoint(judge.url, model, judging.concurrency, judging.timeout_s, judging.attempts)
    if judge.model is None and judge.name == spelled_name(parts.netloc):  # nobody has named it
        judge = judge.model_copy(update={"name": spelled_name(model)})
    return FoundJudge(judge, endpoint, None, notice)


def _may_be_file(model: str) -> bool:
    return model.endswith(".gguf") or model.startswith((SCHEME, PACKAGE_SCHEME)) or is_user_path(model)


def _only_model(url: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = f"one of its models: {_listed(names)}" if names else "the name of a model (the server lists none)"
    raise BadInput(Fault("--judge-model", None, shown, f"The server at {url} has {len(names)} models; name one."))


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MOST_LISTED else ""
    return ", ".join(name[:_LONGEST_LISTED] for name in names[:_MOST_LISTED]) + more


def _models_at(url: str) -> list[str]:
    """Return the names of the models of a server. Raise `EndpointFailed` if it gives no list."""
    parts = urlsplit(url)
    address = parts._replace(path=f"{parts.path.rstrip('/')}/models").geturl()
    key = read_judge_key()
    try:
        status, content = asyncio.run(_get(address, {"Authorization": f"Bearer {key}"} if key else {}))
    except httpx2.HTTPError as error:
        raise EndpointFailed(f"{type(error).__name__}: {error}"[:200]) from None
    if status in (401, 403):
        raise EndpointFailed(f"it refuses the key of JUDGE_API_KEY (status {status})")
    if status != 200:  # it answers, and not every server has a list
        return []
    try:
        listed: Any = json.loads(content)
        return [str(one["id"]) for one in listed["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


async def _get(address: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    async with BoundedClient(timeout_s=ANSWER_WITHIN_S, connections=1) as client:
        response = await client.get(address, headers=dict(headers))
        return response.status_code, response.content


def judge_models(
    found: Iterable[FoundJudge],
    config: PipelineConfig,
    hashes: HashCache,
    reporter: Reporter,
    *,
    nodes: tuple[NodeFacts, ...],
    limits: MemoryLimits,
) -> tuple[JudgeModel, ...]:
    """Return the judges as workers need them. Fetch and hash those that are files.

    Raises:
        BadInput: a file cannot be loaded, or two judges are the same file.
    """
    faults = Faults()
    made = [faults.gather(_judge_model, one, config, hashes, reporter, nodes, limits) for one in found]
    known = Counter(one.gguf_sha256 for one in made if one is not None and one.gguf_sha256)
    for one in made:
        if one is not None and one.gguf_sha256 and known[one.gguf_sha256] > 1:
            faults.add(Fault("--judge-model", one.gguf_path, "a different model for each judge"))
    faults.stop_if_any()
    return tuple(one for one in made if one is not None)


def _judge_model(
    found: FoundJudge,
    config: PipelineConfig,
    hashes: HashCache,
    reporter: Reporter,
    nodes: tuple[NodeFacts, ...],
    limits: MemoryLimits,
) -> JudgeModel:
    if found.file is None:
        return JudgeModel(found.judge.name, found.endpoint)
    header = read_header(fetch(found.file, reporter).path, key="--judge-model")
    sha256 = gguf_sha256(header, hashes.sha256)
    hashes.check_once(header, sha256, key="--judge-model", got=f"{found.judge.name}={header.path}")
    layout = _layout(config, header, nodes, limits, Loaded("judges", found.judge.name))
    cache_bytes = layout.n_ctx * header.kv_bytes_per_cell
    return JudgeModel(
        name=found.judge.name,
        endpoint=None,
        gguf_path=str(header.path),
        gguf_sha256=sha256,
        layout=layout,
        worker_bytes=header.size_bytes + cache_bytes,
        cache_bytes=cache_bytes,
        architecture=header.architecture,
        n_ctx_train=header.n_ctx_train,
    )


def _layout(
    config: PipelineConfig, header: GgufHeader, nodes: tuple[NodeFacts, ...], limits: MemoryLimits, judge: Loaded
) -> EngineLayout:
    """Return how and where a judge's GGUF is decoded: as many verdicts at a time as the memory for a KV cache holds."""
    longest = PROMPT_TOKENS + config.judging.max_tokens
    if header.n_ctx_train:
        longest = min(longest, header.n_ctx_train)
    sequences = min(config.layout.sequences, MOST_SEQUENCES)
    layout = EngineLayout(
        threads=config.layout.threads,
        sequences=sequences,
        n_batch=config.layout.n_batch,
        n_ubatch=config.layout.n_ubatch,
        n_ctx=_cells(sequences, longest),
        kv_unified=True,
        flash_attention=config.layout.flash_attention,
        gpu_layers=0,
    )
    shape = shape_of(header)
    groups = limited(groups_of(nodes, config.execution.gpus_per_worker), limits.part_of(judge))
    on_devices = DeviceRoom(groups, shape, shape.weights) if groups else None
    room, cache_mib = CacheRoom(host_cache_bytes(nodes, groups), on_devices), config.layout.kv_cache_mib
    most = cells_allowed(limits.cache_mib(judge, cache_mib), header.kv_bytes_per_cell, layout, room)[0]
    while sequences > 1 and most is not None and _cells(sequences, longest) > most:
        sequences -= 1
    layout = replace(layout, sequences=sequences, n_ctx=_cells(sequences, longest))
    placed = place_model(groups, shape, layout)
    return replace(layout, gpu_layers=placed.gpu_layers, devices=placed.devices) if placed else layout


def _cells(sequences: int, longest: int) -> int:
    """Return the cells of a cache for this many sequences, one that waits, and a common prefix."""
    return -(-(sequences + 2) * longest // _CELL_STEP) * _CELL_STEP


def judge_notices(
    found: Iterable[FoundJudge], judges: Iterable[JudgeModel], models: Sequence[SourceModel]
) -> tuple[str, ...]:
    """Return what people should know about the judges: which do not answer, and which may favour a judged model."""
    notices = [one.notice for one in found if one.notice is not None]
    for judge in judges:
        named = judge.endpoint.model if judge.endpoint is not None else str(judge.gguf_path)
        family = family_of(named, judge.architecture)
        akin = [one.name for one in models if family and family_of(_full_name(one), one.architecture) == family]
        if akin:
            notices.append(Notice("judge_of_same_family", judge=judge.name, family=str(family), models=akin))
    return tuple(notices)


def _full_name(model: SourceModel) -> str:
    """Return the name that tells most of a model: that in its header, else what the user calls it."""
    return str(model.labels.get("name") or model.name)
