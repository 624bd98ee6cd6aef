"""The configuration of a pipeline: one typed tree, frozen, unknown keys refused.

Every field says its unit and why its default is what it is. `conf.load` fills the tree from a YAML file
and the command line; nothing changes it afterwards (copies are made with `model_copy`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MIX_NAME = r"[a-z0-9_-]+"
BENCHMARK_NAME = r"[a-z0-9_]+"
RECIPE_NAME = r"[a-z0-9_-]+"
ARM_NAME = r"[A-Za-z0-9_.+~-]+"
PIPELINE_ID = r"[A-Za-z0-9][A-Za-z0-9_.+~-]{0,127}"


class Frozen(BaseModel):
    """Base of every configuration node."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


ProtectionLevel = Literal["none", "low", "medium", "high", "max"]

Language = Literal["ja", "en", "both"]
"""Language of charts and documents."""


class NamedPath(Frozen):
    """`[NAME=]MODEL`: a model, or an existing GGUF as an arm."""

    name: Annotated[str, Field(pattern=rf"^{ARM_NAME}$")]
    """Short name; by default that of the file or repository, less the type at its end."""
    path: str
    """A GGUF (of a split one any part), or of a model the folder of a Hugging Face checkpoint. Else a repository on the
    hub, `owner/name[@REVISION]`, or a GGUF in one, `hf:owner/name[@REVISION]/path/file.gguf` (`conf.hub_ids`);
    `package:NAME/FILE` names a file carried by an installed package."""


class OutputTypes(Frozen):
    """The two tensors that publishers treat apart; None leaves a tensor to the method."""

    output: str | None = None
    """ggml's type of `output.weight`; where the model has none, of the token embedding that serves as both (unless
    `embedding` or a regular expression names that)."""
    embedding: str | None = None
    """ggml's type of the token embedding."""


class RecipeSettings(OutputTypes):
    """How to quantize: a llama.cpp type, and tensors that get another one."""

    method: str
    """llama.cpp type that all other tensors get by llama.cpp's own rules: `q4_k_m`."""
    bits: Annotated[int, Field(ge=1)] | None = None
    """Bits of a weight, as a check on `method`: it changes nothing, and a contradiction is refused."""
    tensors: Mapping[str, str] = {}
    """Type by regular expression, searched for in the tensor's name; the first that is found counts. `output` and
    `embedding` win over it, and what llama.cpp never quantizes (norms, say) stays as it is."""
    protection: ProtectionLevel = "none"
    """Protection level of this recipe; `none`: that of the whole pipeline."""


class PublishedRecipes(Frozen):
    """Recipes that come with the project."""

    recipes: Mapping[str, RecipeSettings]
    suffixes: Mapping[str, OutputTypes]
    """By what is added to the name of any quantized type."""


class Calibration(Frozen):
    """What the importance matrix is collected from, and how much of it."""

    mix: Annotated[str, Field(pattern=rf"^{MIX_NAME}$")] = "default"
    """Name of the mix that `texts` make; stands in file names and in arm names where it is not the default."""
    texts: tuple[str, ...] = ()
    """Plain-text files, read in this order with equal shares. Empty: `<data-dir>/calibration/*.txt`. Among them may be
    mixes (a .yaml file, or a name from `conf/calibration`): each stands for itself, by its own name. One mix and no
    text is what is collected by default."""
    dataset_size: Annotated[int, Field(ge=512)] = 65_536
    """Tokens in all, of each mix whose file names no `size`: so mixes differ in language and not in amount. 128 chunks
    of 512: past that, gains are small (llama.cpp discussion 5006)."""
    ctx: Annotated[int, Field(ge=32)] = 512
    """Tokens a chunk, as `llama-imatrix` does by default."""
    allow_overlap: bool = False
    """False: calibration texts that share sequences of words with the benchmarks are refused. True: they are noted."""


class Chat(Frozen):
    """How one model is talked to, where a benchmark is a chat; scores of some models swing with it."""

    system: str | None = None
    """System prompt, put before the benchmark's messages where they have none of their own."""
    template: Path | None = None
    """File with a chat template (jinja2) in place of the one in the GGUF."""


TokenWeight = Annotated[float, Field(ge=1.0, le=1000.0, allow_inf_nan=False)]
"""At least 1: only the ratios between weights matter, and llama.cpp's reader rounds sums of weights to whole numbers,
so that a sum below 1/2 would read as "never used". At most 1000: the sums are kept in 32-bit floats."""


class TokenWeights(Frozen):
    """How much a token counts in a weighted importance matrix, by its class (`actors.token_classes`).

    Seen on SmolLM2-135M (32k tokens, half WikiText, half school mathematics): with 4 the rounding error that tokens of
    mathematics and science meet goes down by 1.4%, that of all others up by 0.8% (q2_k and q4_0 alike). The most that
    weights can do, a matrix of such tokens alone, is 2.3% against 3.3%; 16 gives 2.1% against 2.0%. So 4 has most of
    the gain at the least cost. KL divergence from f16 at such tokens of held-out mathematics (± 95% over chunks): q4_0
    0.1207 without weights, -0.0031 ± 0.0016 with 4 (8 chunks); but q2_k 0.1597, +0.0068 ± 0.0058 (12 chunks). An effect
    so small comes and goes with the type.
    """

    mathematics: TokenWeight = 4.0
    """Numerals, operators, LaTeX, Greek letters, terms."""
    science: TokenWeight = 4.0
    """Units and terms."""
    other: TokenWeight = 1.0
    """Everything else."""


PROTECTION_BPW: Mapping[str, float] = {"low": 0.1, "medium": 0.25, "high": 0.5, "max": 1.0}
"""Bits a weight that a level adds to what the method spends. 1 is about the distance between neighbouring types (q4_k
4.5, q5_k 5.5, q6_k 6.6), so more would be better spent on the next method; 0.25 is about what llama.cpp's own _M
mixes add to their _S; 0.1 is for a few tensors."""


class Protection(Frozen):
    """What is done for tokens that must not lose precision, and for the tensors where precision does most."""

    level: ProtectionLevel = "none"
    """How many bits a weight are added to each lossy quantization, and spent by what they buy. `none`: q4_k_m is what
    everybody means by it."""
    controls: bool = True
    """For each protected arm a control arm of equal size, whose bytes are spent without looking at any measurement."""
    target_bpw: Annotated[float, Field(gt=0, le=32)] | None = None
    """Bits a weight in all, in place of a level: the best types that fit, below the method's own, too."""
    target_size: Annotated[int, Field(ge=1)] | None = None
    """The same as bytes of the file; a text with its unit is read too: `4.2GiB`."""
    token_weights: TokenWeights = TokenWeights()
    """Of the importance matrix by which protected arms are made and their bytes shared out."""

    @field_validator("target_size", mode="before")
    @classmethod
    def _read_size(cls, value: Any) -> Any:
        return size_bytes(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [self.level != "none", self.target_bpw is not None, self.target_size is not None]
        if sum(given) > 1:
            raise ValueError("level, target_bpw and target_size exclude each other: give one of them")
        return self


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.IGNORECASE)


def size_bytes(text: str) -> int:
    """`4.2GiB` -> 4509715660. Raises `ValueError` where it is no size."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("a size has a unit: 4.2GiB, 900MiB, 4.5GB, 900MB")
    prefix = found[2].lower().rstrip("b")
    base = 1024 if prefix.endswith("i") else 1000
    return int(float(found[1]) * base ** " kmgt".index(prefix.rstrip("i") or " "))


class Sampling(Frozen):
    """How answers are generated."""

    temperature: Annotated[float, Field(ge=0.0, le=5.0)] = 0.7
    """0 is greedy: one cell an arm whatever `runs` says."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    top_k: Annotated[int, Field(ge=0)] = 40
    """0 switches it off."""
    min_p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Longest answer, in tokens. A benchmark may ask for less."""


class Layout(Frozen):
    """How a block is laid into llama.cpp's batches.

    It changes outputs in their last bits, so it stands in the records' key; it never depends on the
    number of workers.
    """

    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads a worker."""
    sequences: Annotated[int, Field(ge=1, le=200)] = 32
    """Sequences decoded side by side, at most: fewer where the KV cache would outgrow `kv_cache_mib`."""
    kv_cache_mib: Annotated[int, Field(ge=1)] | None = None
    """Memory for a worker's KV cache, at most, in f16. None: a quarter of this machine's memory; on a GPU, any size.
    Where llama.cpp then gets none, the pipeline is planned anew with half of it, and goes on.
    It decides how many sequences run side by side, so set it where one pipeline is run from machines that differ."""
    n_batch: Annotated[int, Field(ge=32)] = 2048
    """Tokens a call of `llama_decode`, at most."""
    n_ubatch: Annotated[int, Field(ge=32)] = 512
    """Tokens a computation graph, at most."""
    flash_attention: bool = True
    """For answers and text, where llama.cpp finds that the device has it. Off was slower wherever it was measured
    (SmolLM2-135M on 2 cores: text 0.88 times as fast, answers 0.8 times without a prefix, 0.83 with 5 shots)."""


class Execution(Frozen):
    """How the work is spread. Nothing here changes an output."""

    max_workers: Annotated[int, Field(ge=1)] | None = None
    """Workers a role at most; None: as many as the cluster has room for."""
    block_items: Annotated[int, Field(ge=1)] = 32
    """Items a block: the unit of redoing. A quarter of it where the items are chunks of text (perplexity)."""
    attempts: Annotated[int, Field(ge=1)] = 2
    """How often a unit of work is tried before it is recorded as failed."""
    self_check: bool = True
    """Before an arm's first block a few of its items are decoded one at a time as well; where the two ways disagree,
    the arm's blocks fail. Costs seconds with a small model."""
    gpus_per_worker: Annotated[float, Field(gt=0.0)] = 1.0
    """GPU share of a worker, where the cluster has GPUs; all layers are offloaded then."""


class Endpoints(Frozen):
    """How endpoints are asked. Nothing here changes an output."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests at once, of each worker."""
    timeout_s: Annotated[float, Field(gt=0)] = 300.0
    """Seconds for one answer."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a request is sent, with growing pauses, before its block fails."""


class Margins(Frozen):
    """The largest loss against the reference that is still "no worse". Fixed before the run, never after."""

    accuracy: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Of right/wrong scores: 0.01 is one percentage point."""
    ln_ppl: Annotated[float, Field(gt=0.0)] = 0.01
    """Of perplexity, on its logarithm: 0.01 is one percent."""
    judged: Annotated[float, Field(gt=0.0)] | None = None
    """Of scores on a scale of their own (1 to 5, say), in its points. None: such a benchmark can be worse or undecided,
    never no worse, for nobody has said what loss is small."""


class Statistics(Frozen):
    """What the verdict goes by, and what is assumed where a plan says beforehand how small a loss it can show."""

    margins: Margins = Margins()
    early_stop: bool = False
    """True: a benchmark ends for an arm as soon as its verdict is in, where scores are right or wrong. Intervals then
    hold at any number of items, and are 1.55 to 1.8 times as wide as those of a run that nobody looks at."""
    assumed_discordance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Share of questions on which single answers of arm and reference differ in being right. 0.1 is what 4-bit types
    show on multiple choice; only the plan's estimate depends on it."""
    assumed_sd_ln_ppl: Annotated[float, Field(gt=0.0)] = 0.02
    """Standard deviation between chunks of an arm's loss in ln PPL, nats per token. 0.02 is what q4_k_m showed on a
    small model; only the plan's estimate depends on it."""


class Tracking(Frozen):
    """The MLflow mirror. Its address comes from MLFLOW_TRACKING_URI, else SQLite in the storage."""

    gguf_limit_mib: Annotated[int, Field(ge=0)] = 256
    """GGUFs up to this size are logged as artifacts; larger ones by path and sha256."""


class PipelineConfig(Frozen):
    """One pipeline, whole."""

    models: Annotated[tuple[NamedPath, ...], Field(min_length=1)]
    quantizations: tuple[str, ...] = ("bf16", "q8_0", "q4_k_m")
    """llama.cpp types and recipes, in the order they are shown."""
    recipes: Mapping[Annotated[str, Field(pattern=rf"^{RECIPE_NAME}$")], RecipeSettings] = {}
    """Recipes of the user's own, by name; `quantizations` says which are made."""
    arms: tuple[NamedPath, ...] = ()
    """Existing GGUFs, compared like our own, and endpoints: `http(s)://HOST/v1#MODEL`. An endpoint's key is read from
    OPENAI_API_KEY, on the machine that asks it."""
    endpoints: Endpoints = Endpoints()
    reference: Annotated[str, Field(pattern=rf"^{ARM_NAME}$")] | None = None
    """The arm that the others are compared with. None: f32, bf16 or f16, the first of them that is planned."""
    benchmarks: Annotated[tuple[str, ...], Field(min_length=1)] = ("gsm8k", "math", "arc_challenge", "perplexity")
    """Names, or files of the user's own: `.yaml` (see `conf.custom_benchmarks`), or `.py`."""
    runs: Annotated[int, Field(ge=1)] = 5
    """Repeats with different seeds of every sampled benchmark."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """First seed; run r uses seed + r."""
    noise_floor: bool = False
    """True: each reference once more, in another batch layout, wherever the output does not depend on the seed: what
    differs then means nothing. Sampled benchmarks show that by the reference's own seeds."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Items a benchmark at most; None: all."""
    data_dir: Path | None = None
    """Folder of data sets, each benchmark's in a folder of its own."""
    imatrix: Annotated[tuple[str, ...], Field(min_length=1)] = ("default",)
    """Each: `none`, `default` (what `calibration` says), a mix by its name or its .yaml file, or an imatrix file
    (.gguf, .dat). The first is the default that arm names leave out; every further one makes each lossy quantization
    once more."""
    calibration: Calibration = Calibration()
    chat: Mapping[Annotated[str, Field(pattern=rf"^{ARM_NAME}$")], Chat] = {}
    """By the name of a model; existing GGUFs (`arms`) are talked to as the first model."""
    protection: Protection = Protection()
    sampling: Sampling = Sampling()
    layout: Layout = Layout()
    execution: Execution = Execution()
    tracking: Tracking = Tracking()
    statistics: Statistics = Statistics()
    storage: Path = Path("runs")
    """Folder of all pipelines: local or shared."""
    pipeline_id: Annotated[str, Field(pattern=rf"^{PIPELINE_ID}$")] | None = None
    """None: `YYYYmmdd-HHMMSS-<model>`."""
    lang: Language = "both"
    """Language of charts and documents."""
