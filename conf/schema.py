"""The configuration of a pipeline: one typed, frozen tree that refuses unknown keys.

The docstring of each field gives its unit and the reason for its default. `conf.load` fills the tree from a YAML file
and the command line. Nothing changes it afterwards (`model_copy` makes changed copies).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from conf.names import composed

MIX_NAME = r"[a-z0-9_-]+"
BENCHMARK_NAME = r"[a-z0-9_]+"
RECIPE_NAME = r"[a-z0-9_-]+"
PIPELINE_ID = r"[A-Za-z0-9][A-Za-z0-9_.+~-]{0,127}"
LONGEST_NAME = 64
"""Characters of the name of a benchmark, a recipe or a mix. Names of folders are put together from several names, and
file systems allow 255 bytes."""
LONGEST_ARM_NAME = 120
"""Bytes of the name of a model or an arm."""
MOST_TEXTS = 1000
"""Most texts of a mix."""
MOST_ARMS = 1000
"""Most entries of a list of models, recipes, arms or benchmarks."""


class Frozen(BaseModel):
    """Base class of every node of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and `false` as numbers. Pydantic would take them as 1 and 0."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        kinds = {wanted, *get_args(wanted)}
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError("a number")
        return value


Count = Annotated[int, Field(ge=1, lt=2**31)]
"""A number of things, as llama.cpp and JSON readers can hold it."""


def split_names(text: str) -> list[str]:
    """Split at commas, keeping the order and dropping repeated names: `a, b,a` -> [a, b]."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


ProtectionLevel = Literal["none", "low", "medium", "high", "max"]

Language = Literal["ja", "en", "both"]
"""Language of charts and documents."""


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError("a share of one GPU (0.01 to 1), or a whole number: Ray divides single GPUs only")
    return gpus


def _short(name: str) -> str:
    if len(name.encode()) > LONGEST_ARM_NAME:
        raise ValueError(f"a name of at most {LONGEST_ARM_NAME} bytes: NAME=PATH gives a shorter one")
    return name


ArmName = Annotated[str, Field(min_length=1), AfterValidator(composed), AfterValidator(_short)]
"""Name of a model or an arm."""


class NamedPath(Frozen):
    """`[NAME=]MODEL`: a model, or an existing GGUF that is an arm."""

    name: ArmName
    """Short name. Default on the command line: the name of the file or repository without the type at its end."""
    path: str
    """One of these:

    - a GGUF file (any part of a split one)
    - for a model: the folder of a Hugging Face checkpoint, or a repository on the hub, `owner/name[@REVISION]`
    - a GGUF on the hub: `hf:owner/name[@REVISION]/path/file.gguf` (see `conf.hub_ids`)
    - `package:NAME/FILE`: a file of an installed package
    - for an arm: an endpoint, `http(s)://HOST/v1#MODEL`
    """


class ModelEntry(NamedPath):
    """One model of a pipeline, with what is special about it if the pipeline has several."""

    quantizations: Annotated[tuple[str, ...], Field(max_length=MOST_ARMS)] | None = None
    """What is made of this model. None: the pipeline's `quantizations`. Empty: nothing, and the given file itself is an
    arm, named after its type. So a model has one side only if only that side fits or exists."""
    reference: ArmName | None = None
    """The arm that this model's others are compared with, with or without `NAME~` in front. None: the pipeline's
    `reference`, else the first of f32, bf16 and f16 that is planned for it."""
    stage: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    """Stage of the training that this checkpoint is of, such as `sft`. Tables and charts show it, and keep the order of
    the models if each of them has a stage."""

    @field_validator("quantizations", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take one text with commas as a list, as the flags do."""
        return split_names(value) if isinstance(value, str) else value


class ArmEntry(NamedPath):
    """An existing GGUF or an endpoint that is an arm."""

    model: ArmName | None = None
    """Name of the model that it is a form of. None: the one whose name stands in front of its own name
    (`MODEL~NAME`), else the first model."""


class OutputTypes(Frozen):
    """Types for the two tensors that publishers often treat apart; None leaves a tensor to the method."""

    output: str | None = None
    """ggml type of `output.weight`. If the model has no such tensor, the token embedding serves as both: then this is
    its type, unless `embedding` or a regular expression names it."""
    embedding: str | None = None
    """ggml type of the token embedding."""


class RecipeSettings(OutputTypes):
    """A custom recipe: a llama.cpp type, and the tensors that get another type."""

    method: str
    """llama.cpp type, such as `q4_k_m`. All tensors that are not named below get their types by its rules."""
    bits: Count | None = None
    """Bits per weight, only as a check of `method`: it changes nothing, but a contradiction is refused."""
    tensors: Mapping[str, str] = {}
    """ggml type by regular expression, which is searched for in a tensor's name; the first match counts. `output` and
    `embedding` win over it. Tensors that llama.cpp never quantizes, such as norms, stay as they are."""
    protection: ProtectionLevel = "none"
    """Protection level of this recipe; `none`: use the level of the pipeline."""


class PublishedRecipes(Frozen):
    """Recipes that come with the project (`conf/quantizations.yaml`)."""

    recipes: Mapping[str, RecipeSettings]
    suffixes: Mapping[str, OutputTypes]
    """Types by the suffix that is added to the name of any quantized type."""


class Calibration(Frozen):
    """The texts that the importance matrix is collected from, and how many tokens of them."""

    mix: Annotated[str, Field(pattern=rf"^{MIX_NAME}$", max_length=LONGEST_NAME)] = "default"
    """Name of the mix that `texts` make. It is in file names, and in arm names if it is not the default."""
    texts: Annotated[tuple[str, ...], Field(max_length=MOST_TEXTS)] = ()
    """Plain-text files, read in this order with equal shares. Empty: `<data-dir>/calibration/*.txt`. An entry may also
    be a mix (a .yaml file, or a name from `conf/calibration`), which keeps its own name. If the only entry is a mix,
    it is the default mix."""
    dataset_size: Annotated[int, Field(ge=512, lt=2**31)] = 65_536
    """Tokens in total of each mix whose file gives no `size`, so that mixes differ in language and not in amount. The
    default is 128 chunks of 512; more gains little (llama.cpp discussion 5006)."""
    ctx: Annotated[int, Field(ge=32, lt=2**31)] = 512
    """Tokens per chunk; the default is that of `llama-imatrix`."""
    allow_overlap: bool = False
    """False: refuse calibration texts that share sequences of words with the benchmarks. True: only give a notice."""


TEMPLATE_VARIABLES = frozenset(
    {"messages", "bos_token", "eos_token", "unk_token", "pad_token", "add_generation_prompt", "tools", "documents"}
)
"""What every chat template gets."""
Thinking = Literal["on", "off", "template"]
"""Whether a model thinks before it answers. `template`: as its chat template has it."""


class Chat(Frozen):
    """Chat settings of one model or arm, for benchmarks that use its chat template. They can change scores a lot."""

    system: str | None = None
    """System prompt, put before the messages of a benchmark that has no system prompt of its own. Only for a model:
    arms are compared on the same messages."""
    template: Path | None = None
    """File with a chat template (jinja2), used in place of the one in the GGUF."""
    thinking: Thinking = "template"
    """`on` or `off` sets the variables by which the chat template switches thinking, such as `enable_thinking`."""
    template_arguments: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", max_length=64)], JsonValue] = {}
    """Further variables for the chat template, such as `reasoning_effort: high`."""
    thinking_tokens: Count | None = None
    """Longest thoughts of an answer, in tokens. The limit of the answer itself (`sampling.max_tokens`) counts behind
    them. None: 4096 if the model may think, at most half of its context."""

    @field_validator("thinking", mode="before")
    @classmethod
    def _read_switch(cls, value: Any) -> Any:
        """Take YAML's `on` and `off`, which are truth values."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("template_arguments")
    @classmethod
    def _free_names(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if value.keys() & TEMPLATE_VARIABLES:
            raise ValueError(f"names other than {', '.join(sorted(TEMPLATE_VARIABLES))}, which every template gets")
        return value

    def over(self, other: Chat) -> Chat:
        """Return these settings, with those of `other` where these say nothing. No thoughts need no budget."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return other.model_copy(update={**({"thinking_tokens": None} if self.thinking == "off" else {}), **own})


TokenWeight = Annotated[float, Field(ge=1.0, le=1000.0, allow_inf_nan=False)]
"""At least 1: only the ratios between weights matter, and llama.cpp rounds sums of weights to whole numbers when it
reads them, so a sum below 1/2 would mean "never used". At most 1000: the sums are 32-bit floats."""


class TokenWeights(Frozen):
    """Weight of a token in a weighted importance matrix, by its class (see `actors.token_classes`).

    Measured on SmolLM2-135M (32k tokens, half WikiText, half school mathematics), for q2_k and q4_0 alike:

    - weight 4: the rounding error at tokens of mathematics and science falls by 1.4%, at all other tokens it rises by
      0.8%
    - weight 16: 2.1% and 2.0%
    - a matrix of such tokens alone, the most that weights can do: 2.3% and 3.3%

    So 4 gives most of the gain at the least cost. KL divergence from f16 at such tokens of held-out mathematics (± 95%
    over chunks): q4_0 0.1207 without weights, and a change of -0.0031 ± 0.0016 with 4 (8 chunks); but q2_k 0.1597, and
    a change of +0.0068 ± 0.0058 (12 chunks). The effect is so small that its sign depends on the type.
    """

    mathematics: TokenWeight = 4.0
    """Weight of numerals, operators, LaTeX, Greek letters and mathematical terms."""
    science: TokenWeight = 4.0
    """Weight of units and scientific terms."""
    other: TokenWeight = 1.0
    """Weight of all other tokens."""


PROTECTION_BPW: Mapping[str, float] = {"low": 0.1, "medium": 0.25, "high": 0.5, "max": 1.0}
"""Bits per weight that each level adds to those of the method. 1 is about the distance between neighbouring types (q4_k
4.5, q5_k 5.5, q6_k 6.6): instead of more, use the next method. 0.25 is about the difference between llama.cpp's own _M
and _S mixes. 0.1 is enough for a few tensors."""


class Protection(Frozen):
    """More precision for the tensors where it reduces the error most, and weights for tokens that must not lose any."""

    level: ProtectionLevel = "none"
    """How many bits per weight are added to each lossy quantization, and spent where they reduce its error most. With
    the default `none`, q4_k_m is what everybody means by q4_k_m."""
    controls: bool = True
    """True: make a control arm of equal size for each protected arm; its bytes are spent without any measurement."""
    target_bpw: Annotated[float, Field(gt=0, le=32)] | None = None
    """Bits per weight in total, in place of a level: the best types that fit, which may be smaller than the method's
    own."""
    target_size: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """The same as a file size in bytes, or as a text with a unit: `4.2GiB`."""
    token_weights: TokenWeights = TokenWeights()
    """Token weights in the importance matrix of protected arms, which is also used to share out their bytes."""

    @field_validator("target_size", mode="before")
    @classmethod
    def _read_size(cls, value: Any) -> Any:
        return size_bytes(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [self.level != "none", self.target_bpw is not None, self.target_size is not None]
        if sum(given) > 1:
            raise ValueError("only one of level, target_bpw and target_size, because they exclude each other")
        return self


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.IGNORECASE)


def size_bytes(text: str) -> int:
    """Return the bytes of a size with a unit: `4.2GiB` -> 4509715660. Raises `ValueError` if it is not a size."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("a size has a unit: 4.2GiB, 900MiB, 4.5GB, 900MB")
    prefix = found[2].lower().rstrip("b")
    base = 1024 if prefix.endswith("i") else 1000
    size = float(found[1]) * base ** " kmgt".index(prefix.rstrip("i") or " ")
    if size >= 2**63:
        raise ValueError("a size below 8 million TiB")
    return int(size)


class Sampling(Frozen):
    """How tokens of an answer are sampled."""

    temperature: Annotated[float, Field(ge=0.0, le=5.0)] = 0.7
    """0 is greedy: then each arm has one cell per benchmark, whatever `runs` is."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    top_k: Annotated[int, Field(ge=0, lt=2**31)] = 40
    """Number of most likely tokens to sample from; 0 switches it off."""
    min_p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    max_tokens: Count = 512
    """Longest answer, in tokens. A benchmark may set a lower limit."""


class Layout(Frozen):
    """How a block is arranged in llama.cpp's batches.

    The layout can change an output's last bits, so it is part of the records' key. It never depends on the number of
    workers.
    """

    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """CPU threads per worker."""
    sequences: Annotated[int, Field(ge=1, le=200)] = 32
    """Most sequences that are decoded together; fewer if the KV cache would exceed `kv_cache_mib`."""
    kv_cache_mib: Count | None = None
    """Largest KV cache of a worker, in MiB, in f16. None: a quarter of this machine's memory; on GPUs, what the
    weights of the largest arm leave. If llama.cpp cannot get that much memory, the arm or judge is planned again with
    less and goes on. This limit decides how many sequences run together, so set it if different machines run one
    pipeline.
    """
    n_batch: Annotated[int, Field(ge=32, le=65536)] = 2048
    """Most tokens per call of `llama_decode`."""
    n_ubatch: Annotated[int, Field(ge=32, le=65536)] = 512
    """Most tokens per computation graph."""
    flash_attention: bool = True
    """True: use flash attention for answers and text if llama.cpp finds that the device supports it. Without it all
    measured cases were slower (SmolLM2-135M on 2 cores: text 0.88 times as fast, answers 0.8 times without a prefix,
    0.83 times with 5 shots)."""


class Execution(Frozen):
    """How the work is distributed. Nothing here changes an output."""

    max_workers: Count | None = None
    """Most workers per role; None: as many as fit on the cluster."""
    block_items: Count = 32
    """Items per block, which is what is redone after a failure. A quarter of it if the items are chunks of text
    (perplexity)."""
    attempts: Count = 2
    """Number of tries of a unit of work before it is recorded as failed."""
    self_check: bool = True
    """True: before an arm's first block, decode a few of its items also one at a time; if the two results disagree, the
    arm's blocks fail. This takes seconds with a small model."""
    gpus_per_worker: Annotated[float, Field(ge=0.01), AfterValidator(_whole_above_one)] | None = None
    """GPUs per worker that decodes. None: as few as hold its models, or a share of one, computed from their memory and
    from that of the devices. A fraction is a share of one GPU, whether or not the memory is enough. More than any node
    has are refused."""


class Endpoints(Frozen):
    """How requests are sent to endpoints. Nothing here changes an output."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Concurrent requests per worker."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Time limit for one answer, in seconds."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Number of tries of a request, with growing pauses between them, before its block fails."""


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
    """Time limit for one verdict, in seconds."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Number of tries of a request, with growing pauses between them."""
    rubrics: Mapping[str, str] = {}
    """Rubric by benchmark, where a benchmark has several (`elyza`: `elyza_2023` or `elyza_strict`)."""
    human_scores: Path | None = None
    """File of human scores for some answers, which correct the judge's means."""


class Margins(Frozen):
    """The largest loss against the reference that still counts as "no worse". Set it before the run, never after."""

    accuracy: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Margin of right/wrong scores: 0.01 is one percentage point."""
    relative: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Share of what the reference gets right beyond guessing that may be lost, for right/wrong scores: 0.05 is one in
    twenty. "No worse" needs both this and `accuracy`. It is the stricter one if the reference gets less than
    `accuracy` / `relative` right beyond guessing (20 points by default)."""
    gold_probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.005
    """Margin of the probability of the right choice: 0.005 is half a percentage point. That is about what goes with a
    loss of one point of accuracy: 0.4 to 0.6 points, measured on SmolLM2-135M and ARC-Challenge by damaging the
    log-likelihoods step by step."""
    gold_loglik: Annotated[float, Field(gt=0.0)] = 0.05
    """Margin of the log-likelihood of the right choice, in nats per answer: 0.05 is 5% of its likelihood. The default
    is that of `ln_ppl` for an answer of five tokens, as those of ARC-Challenge have on average."""
    ln_ppl: Annotated[float, Field(gt=0.0)] = 0.01
    """Margin of perplexity, on its logarithm: 0.01 is one percent."""
    judged: Annotated[float, Field(gt=0.0)] | None = None
    """Margin of scores on a scale of their own, such as 1 to 5, in points of that scale. None: nobody has said
    which loss is small, so no verdict depends on a judged benchmark (elyza, mt_bench), and that of any other such
    benchmark is "undecided". A loss that is shown is named."""
    pooled: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Margin of the mean loss over the pooled benchmarks (see `tiers`): 0.01 is one percentage point on average."""


PoolWeight = Annotated[float, Field(gt=0.0, le=1e6)]
"""Weight of a benchmark in a mean. Only the ratios between weights matter."""


class Tiers(Frozen):
    """What the verdict of an arm asks of each benchmark (see `conf.tiers`). Set it before the run, never after.

    Benchmarks are named as in results: a custom one by its `name`.
    """

    each: tuple[str, ...] | None = None
    """Benchmarks that must each be no worse. None: all that are not in `inform`."""
    pooled: Mapping[str, PoolWeight] | None = None
    """Benchmarks that must be no worse on average: a list for equal weights, or a weight for each. None: all with
    right or wrong answers that are not in `inform`, with equal weights. Empty: no claim on average."""
    inform: tuple[str, ...] = ()
    """Benchmarks that are shown, and that no verdict depends on."""

    @field_validator("each", "inform", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_names(value) if isinstance(value, str) else value

    @field_validator("pooled", mode="before")
    @classmethod
    def _equal_weights(cls, value: Any) -> Any:
        names = split_names(value) if isinstance(value, str) else value
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return dict.fromkeys(names, 1.0)
        return value


VerdictScore = Literal["accuracy", "gold_probability", "gold_loglik"]
"""A score of multiple choice: right or wrong; the probability of the right choice among the choices; its
log-likelihood."""


class Statistics(Frozen):
    """The margins and tiers of the verdicts, how many items are planned, early stopping, and assumptions for how
    small a loss a plan can show."""

    margins: Margins = Margins()
    tiers: Tiers = Tiers()
    planned_items: Count | None = None
    """Most items per benchmark that you will ever look at; None: all items of the benchmark. Looks at fewer items share
    the level of the verdict, so that you may raise `limit` up to here. Set it to your `limit` if that look is the only
    one. It must be set before the first look and cannot be lowered afterwards."""
    verdict_score: Mapping[str, VerdictScore] = {}
    """The score that the verdict goes by, by the name of a benchmark whose choices are compared by likelihood. Set it
    before the run. Default: accuracy, because it is what users of a model notice. The others show a loss with fewer
    items; all of them are always reported."""
    early_stop: bool = False
    """True: if scores are right or wrong, a benchmark ends for an arm as soon as the verdict is certain. Intervals then
    hold at any number of items, and are 1.55 to 1.8 times as wide as without early stopping."""
    assumed_discordance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Share of questions that exactly one of arm and reference answers correctly, per single answer. 0.1 is typical of
    4-bit types on multiple choice. Only the plan's estimate depends on it."""
    assumed_sd_gold_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.08
    """Standard deviation of an arm's loss in the probability of the right choice between items. 0.08 was measured for
    q4_k_m with SmolLM2-135M on ARC-Challenge (q8_0: 0.026). Only the plan's estimate depends on it."""
    assumed_sd_gold_loglik: Annotated[float, Field(gt=0.0)] = 0.9
    """The same for the log-likelihood of the right choice, in nats per answer (q8_0: 0.25)."""
    assumed_sd_ln_ppl: Annotated[float, Field(gt=0.0)] = 0.02
    """Standard deviation of an arm's loss in ln PPL between chunks, in nats per token. 0.02 was measured for q4_k_m on
    a small model; it also stands for gold solutions (0.009 to 0.041, see `benchmarks/solutions.py`). Only the plan's
    estimate depends on it."""

    def score_of(self, benchmark: str, metric: str) -> str:
        """Return the score that the verdict on a benchmark goes by. `metric`: the benchmark's own."""
        score = self.verdict_score.get(benchmark, "accuracy")
        return metric if score == "accuracy" else score


class Tracking(Frozen):
    """What is copied to MLflow. MLFLOW_TRACKING_URI gives its address; if unset, it is SQLite in the storage."""

    gguf_limit_mib: Annotated[int, Field(ge=0, lt=2**31)] = 256
    """GGUFs up to this size, in MiB, are logged as artifacts; of larger ones only path and sha256."""


class PipelineConfig(Frozen):
    """All settings of one pipeline."""

    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1, max_length=MOST_ARMS)]
    """Several models are evaluated on the same benchmarks. Each has its own reference and its own conclusion."""
    quantizations: Annotated[tuple[str, ...], Field(max_length=MOST_ARMS)] = ("bf16", "q8_0", "q4_k_m")
    """llama.cpp types and recipes, in the order in which they are shown."""
    recipes: Mapping[Annotated[str, Field(pattern=rf"^{RECIPE_NAME}$", max_length=LONGEST_NAME)], RecipeSettings] = {}
    """Custom recipes by name; `quantizations` says which of them are made."""
    arms: Annotated[tuple[ArmEntry, ...], Field(max_length=MOST_ARMS)] = ()
    """Existing GGUFs and endpoints (`http(s)://HOST/v1#MODEL`), compared like the quantizations made here. The key of
    an endpoint is read from OPENAI_API_KEY, on the machine that sends the requests."""
    endpoints: Endpoints = Endpoints()
    judging: Judging = Judging()
    reference: ArmName | None = None
    """The arm that the others are compared with. None: the first of f32, bf16 and f16 that is planned. A model may name
    its own (`models`)."""
    benchmarks: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_ARMS)] = (
        "gsm8k",
        "math",
        "arc_challenge",
        "elyza",
    )
    """Names of benchmarks, or files of custom benchmarks: `.yaml` (see `conf.custom_benchmarks`) or `.py`."""
    runs: Count = 5
    """Repeats of every sampled benchmark, one seed each."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """First seed; run r (from 0) uses seed + r."""
    noise_floor: bool = False
    """True: evaluate each reference again in another batch layout, for benchmarks whose output does not depend on the
    seed. Differences of that size mean nothing. For sampled benchmarks, the reference's own seeds show the same."""
    limit: Count | None = None
    """Most items per benchmark; None: all."""
    data_dir: Path | None = None
    """Folder of data sets, with one folder per benchmark. None: from the hub."""
    imatrix: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_ARMS)] = ("default",)
    """Each entry is `none`, `default` (see `calibration`), a mix (its name or its .yaml file) or an imatrix file
    (.gguf, .dat). The first entry is the default, which arm names leave out. Each further entry makes every lossy
    quantization again."""
    calibration: Calibration = Calibration()
    chat: Mapping[ArmName, Chat] = {}
    """Chat settings by the name of a model or of an existing arm (`arms`). An arm has those of its model too, but its
    own win."""
    protection: Protection = Protection()
    sampling: Sampling = Sampling()
    layout: Layout = Layout()
    execution: Execution = Execution()
    tracking: Tracking = Tracking()
    statistics: Statistics = Statistics()
    storage: Path = Path("runs")
    """Folder of all pipelines: a local one, or one that all machines of a cluster share."""
    pipeline_id: Annotated[str, Field(pattern=rf"^{PIPELINE_ID}$")] | None = None
    """Name of this pipeline. None: `YYYYmmdd-HHMMSS-<model>`."""
    lang: Language = "both"
    """Language of charts and documents. `both`: each is written once per language, with `_ja` or `_en` in its name."""
    methodology: Path | None = None
    """Markdown file that replaces the methodology in the documents. None: the methodology that comes with the
    project."""

    @field_validator("quantizations", "benchmarks", "imatrix", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take one text with commas as a list, as the flags do."""
        return split_names(value) if isinstance(value, str) else value

    def entry(self, model: str) -> ModelEntry:
        """Return what the configuration says about a model, by its name."""
        return next(one for one in self.models if one.name == model)

    def quantizations_of(self, model: str) -> tuple[str, ...]:
        """Return what is made of a model, by its name."""
        own = self.entry(model).quantizations
        return self.quantizations if own is None else own

    def is_taken_as_given(self, model: str) -> bool:
        """Return whether nothing is made of a model, and its file itself is an arm."""
        return self.entry(model).quantizations == ()

    @property
    def all_quantizations(self) -> tuple[str, ...]:
        """What is made of any of the models."""
        made = (name for model in self.models for name in self.quantizations_of(model.name))
        return tuple(dict.fromkeys(made))
