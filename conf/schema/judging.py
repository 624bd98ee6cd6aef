"""Who judges the answers of benchmarks without one right answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from conf.schema.base import Count, Frozen
from conf.schema.models import ArmName


class Judge(Frozen):
    """One judge: a model behind an OpenAI-compatible endpoint, or a GGUF of the user's."""

    name: ArmName
    """How results call it."""
    model: str | None = None
    """Name of the model on the server; None: the only one that it has. Without `url`: a GGUF, as for `arms`."""
    url: str | None = None
    """Base address of the endpoint, such as `https://host/v1`. Its key is read from JUDGE_API_KEY."""


class Judging(Frozen):
    """Who judges the answers of benchmarks without one right answer (elyza, mt_bench), and how."""

    judges: Annotated[tuple[Judge, ...], Field(max_length=16)] = ()
    """None: answers are generated and kept, and are unscored. Several: a jury, whose mean counts."""
    repeats: Annotated[int, Field(ge=1, le=20)] = 2
    """How often each judge judges an answer. Two show how much a judge differs from itself."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.7
    """Temperature of the judge. At 0 repeats see the criteria in another order."""
    max_tokens: Count = 512
    """Longest verdict with its reasons, in tokens."""
    max_calls: Count | None = None
    """Most calls of all judges together in one run of the job. None: no limit."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Concurrent requests to a judge."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Time limit for one verdict, in seconds. A busy server may ask for a pause of that length, or of two minutes."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Number of tries of a request, with growing pauses between them."""
    rubrics: Mapping[str, str] = {}
    """Rubric by benchmark, where a benchmark has several (`elyza`: `elyza_2023` or `elyza_strict`)."""
    human_scores: Path | None = None
    """File of human scores for some answers, which correct the judge's means."""
