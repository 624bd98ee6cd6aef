"""Which importance matrices a command asks for, what they are collected from, and whether that may be used.

The texts of the mixes are read, and compared with the benchmarks: calibrated on what it is asked, a quantization would
look better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from actors.evaluation.contract import BenchmarkData
from actors.hub import Hub
from actors.llama.model import Model
from actors.orchestrator.sources.inputs import SourceImatrix
from actors.orders import CalibrationText, Choose, ChunkRules, Generate, Item, Measure
from actors.quantization.calibration import ReadText, make_chunks, read_calibration, text_name
from actors.quantization.dataset_text import DatasetText, dataset_text
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.overlap import CHARACTERS, WORDS, Overlap, find_overlaps
from conf.environment import read_environment
from conf.faults import BadInput, Fault, near_names
from conf.load import resolve_path
from conf.mixes import SUFFIX, DatasetRows, Mix, is_mix, read_mix, shipped_mixes
from conf.schema import Calibration, PipelineConfig
from jobs._counter import Transfer

MATRIX_SUFFIXES = (".gguf", ".dat")
_SEAM_CHARACTERS = 400
"""Left standing of what all prompts of a benchmark begin with, so that a sequence across its end is still seen."""

Sha256 = Callable[[str], str]
"""Of a file, by its path."""


def source_imatrices(
    config: PipelineConfig, sha256: Sha256, read: ReadText, *, wanted: bool
) -> tuple[SourceImatrix, ...]:
    """What each entry of `imatrix` stands for; nothing where no recipe would use it (`wanted`).

    Raises:
        BadInput: with every fault found.
    """
    if not wanted:
        return tuple(SourceImatrix("none", None, None, ()) for _ in config.imatrix)
    faults: list[Fault] = []
    sources: list[SourceImatrix] = []
    for entry in config.imatrix:
        try:
            sources.append(_source_imatrix(entry, config, sha256, read))
        except BadInput as error:
            faults += error.faults
    names = [source.name for source in sources]
    faults += [
        Fault("--imatrix", name, "matrices with names that differ", "Rename a file, or leave one out.")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if faults:
        raise BadInput(faults)
    return tuple(sources)


def _source_imatrix(entry: str, config: PipelineConfig, sha256: Sha256, read: ReadText) -> SourceImatrix:
    given = {Path(spec).name.removesuffix(SUFFIX): spec for spec in config.calibration.texts if is_mix(spec)}
    if entry == "none":
        return SourceImatrix("none", None, None, ())
    if entry.endswith(MATRIX_SUFFIXES):
        path = resolve_path(entry)
        read_imatrix(path)
        return SourceImatrix(Path(path).stem.lower().replace(".", "-"), path, sha256(path), ())
    if entry == config.calibration.mix:
        return source_of(default_mix(config.calibration, config.data_dir), sha256, read)
    spec = given.get(entry, entry)
    if not is_mix(spec):
        known = ["none", config.calibration.mix, *given, *(name for name in shipped_mixes() if name not in given)]
        allowed = f"{', '.join(known)}, the .yaml file of a mix, or an imatrix file ({' or '.join(MATRIX_SUFFIXES)})"
        raise BadInput(Fault("--imatrix", entry, allowed, near_names(entry, known)))
    return source_of(read_mix(spec, data_dir=config.data_dir, key="--imatrix"), sha256, read)


def default_mix(calibration: Calibration, data_dir: Path | None) -> Mix:
    """What `--calibration` says without a name: its texts in equal shares, its one mix, else the data folder's texts.

    Raises:
        BadInput: several mixes, none of which is named, or no text at all.
    """
    mixes = [spec for spec in calibration.texts if is_mix(spec)]
    texts = [spec for spec in calibration.texts if not is_mix(spec)]
    if not texts and len(mixes) == 1:
        return read_mix(mixes[0], data_dir=data_dir, key="--calibration")
    if not texts and mixes:
        names = ",".join(Path(spec).name.removesuffix(SUFFIX) for spec in mixes)
        raise BadInput(Fault("--calibration", ", ".join(mixes), "one mix", f"Or name them: --imatrix {names}."))
    if not texts and data_dir is not None:
        texts = [str(path) for path in sorted((data_dir / "calibration").glob("*.txt"))]
    if not texts:
        allowed = "at least one text for the importance matrix"
        step = "Give --calibration FILE, a --data-dir with calibration/*.txt, or --imatrix none."
        raise BadInput(Fault("--calibration", None, allowed, step))
    return Mix(calibration.mix, tuple((resolve_path(text), 1 / len(texts)) for text in texts))


def source_of(mix: Mix, sha256: Sha256, read: ReadText = read_calibration) -> SourceImatrix:
    """A mix with its texts read once and hashed. Raises `BadInput` for a text that cannot be read or fetched."""
    texts = []
    for text, share in mix.texts:
        found = fetched_rows(text) if isinstance(text, DatasetRows) else None
        path = str(found.path) if found else str(text)
        read(path)
        file, _, part = path.partition("#")
        digest = sha256(file)
        source = found.source if found else None
        texts.append(CalibrationText(path, f"{digest}#{part}" if part else digest, share, source))
    rules = ChunkRules(mix.chunk_shuffle_seed, mix.parse_special, mix.chat_template)
    return SourceImatrix(mix.name, None, None, tuple(texts), rules, mix.size)


def fetched_rows(wanted: DatasetRows) -> DatasetText:
    """The rows of a data set as a file of the cache. Raises `BadInput` where they cannot be had."""
    with Transfer(f"data set {wanted.dataset}") as transfer:
        return dataset_text(wanted, Hub(), read_environment().cache_dir, key="--calibration", report=transfer.advance)


def check_size(config: PipelineConfig, source: SourceImatrix, vocabulary: Model, read: ReadText) -> None:
    """Raise `BadInput` where the texts hold fewer tokens than are asked for."""
    size, ctx = config.calibration.dataset_size, config.calibration.ctx
    try:
        make_chunks(vocabulary, source.texts, dataset_size=source.tokens(size), ctx=ctx, rules=source.rules, read=read)
    except BadInput as error:
        if source.size == 1.0:
            raise
        got = f"{size}, of which the mix {source.name} takes {source.size:g} times as many, {source.tokens(size)}"
        raise BadInput([replace(fault, got=got) for fault in error.faults]) from None


def check_overlap(
    sources: Iterable[SourceImatrix],
    benchmarks: Sequence[BenchmarkData],
    vocabulary: Model,
    read: ReadText,
    *,
    allow: bool,
) -> tuple[str, ...]:
    """Compare all calibration texts with all items, whatever the limit; gives back notices.

    Raises:
        BadInput: they share sequences, and that is not allowed.
    """
    paths = {text.path for source in sources for text in source.texts}
    if not paths:
        return ()
    texts = {path: read(path) for path in sorted(paths)}
    documents = {data.spec.name: documents_of(data.items, vocabulary) for data in benchmarks}
    found = find_overlaps(texts, documents)
    if found and not allow:
        raise BadInput([_refused(one) for one in found])
    return tuple(f"Calibration text {text_name(one.text)} {_shares(one)}; --allow-overlap was given." for one in found)


def _refused(one: Overlap) -> Fault:
    step = "Take these passages out, use another text, or let it pass with --allow-overlap."
    return Fault("--calibration", f"{text_name(one.text)}, which {_shares(one)}", "text that no benchmark asks", step)


def _shares(one: Overlap) -> str:
    many = f"{one.n_shared} sequence{'s' if one.n_shared > 1 else ''} of {WORDS} words or {CHARACTERS} characters"
    return f"shares {many} with {one.benchmark} ('{one.example}', say)"


def documents_of(items: Sequence[Item], vocabulary: Model) -> list[str]:
    """What a benchmark's items say: prompts and choices, or the text whose tokens are measured."""
    tasks = [item.task for item in items]
    measured = [token for task in tasks if isinstance(task, Measure) for token in task.tokens]
    prompts = [
        "\n".join(message.content for message in task.messages) for task in tasks if isinstance(task, Generate | Choose)
    ]
    choices = [choice for task in tasks if isinstance(task, Choose) for choice in task.choices]
    return [*_without_common_start(prompts), *choices, *([_text_of(measured, vocabulary)] if measured else [])]


def _without_common_start(prompts: Sequence[str]) -> list[str]:
    """Examples that stand before every question are kept once: few-shot prompts are mostly these."""
    if not prompts:
        return []
    first, last = min(prompts), max(prompts)
    common = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    start = max(0, common - _SEAM_CHARACTERS)
    return [prompts[0][:common], *(prompt[start:] for prompt in prompts)]


def _text_of(tokens: Sequence[int], vocabulary: Model) -> str:
    """The text of the chunks that perplexity is measured on, one after the other."""
    pieces: Mapping[int, bytes] = {token: vocabulary.piece(token) for token in set(tokens)}
    return b"".join(pieces[token] for token in tokens).decode("utf-8", "replace")
