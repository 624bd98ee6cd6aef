"""Which importance matrices a command asks for, what they are collected from, and whether these texts may be used.

The texts are compared with the benchmarks. A quantization that was calibrated on the questions it is asked would look
better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from actors.evaluation.contract import BenchmarkData
from actors.hub import Hub
from actors.items import Choose, Generate, Item, Measure
from actors.llama.model import Model
from actors.orchestrator.sources.inputs import SourceImatrix
from actors.orchestrator.sources.reporter import Reporter
from actors.quantization.calibration import ReadText, make_chunks, read_calibration, text_name
from actors.quantization.dataset_text import DatasetText, dataset_text
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.overlap import CHARACTERS, WORDS, Overlap, find_overlaps
from actors.quantization_orders import CalibrationText, ChunkRules
from conf.environment import read_environment
from conf.faults import BadInput, Fault, Faults, checked, near_names
from conf.files import exists
from conf.load import resolve_path
from conf.mixes import SUFFIX, DatasetRows, Mix, is_mix, read_mix, shipped_mixes
from conf.schema.base import MOST_TEXTS
from conf.schema.pipeline import PipelineConfig
from conf.schema.recipes import Calibration
from reporting.notices import Notice

MATRIX_SUFFIXES = (".gguf", ".dat")
_SEAM_CHARACTERS = 400
"""How much of the beginning that all prompts share is kept in front of each prompt. A shared sequence that runs across
the end of this beginning is then still found."""

Sha256 = Callable[[str], str]
"""Returns the sha256 of the file at a path."""


def source_imatrices(
    config: PipelineConfig, sha256: Sha256, read: ReadText, reporter: Reporter, *, wanted: bool
) -> tuple[SourceImatrix, ...]:
    """Return what each entry of the configuration's `imatrix` stands for.

    Args:
        wanted: False if no recipe uses a matrix. Every entry then stands for `none`, and nothing is read.

    Raises:
        BadInput: with every fault found.
    """
    if not wanted:
        return tuple(SourceImatrix("none") for _ in config.imatrix)
    faults = Faults()
    sources = [faults.gather(_source_of_entry, entry, config, sha256, read, reporter) for entry in config.imatrix]
    names = [source.name for source in sources if source is not None]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.add(Fault("--imatrix", name, "matrices with different names", "Rename a file, or leave one out."))
    faults.stop_if_any()
    return tuple(map(checked, sources))


def _source_of_entry(
    entry: str, config: PipelineConfig, sha256: Sha256, read: ReadText, reporter: Reporter
) -> SourceImatrix:
    given = {Path(spec).name.removesuffix(SUFFIX): spec for spec in config.calibration.texts if is_mix(spec)}
    if entry == "none":
        return SourceImatrix("none")
    if entry.endswith(MATRIX_SUFFIXES):
        path = resolve_path(entry, key="--imatrix")
        read_imatrix(path)
        return SourceImatrix(Path(path).stem.lower().replace(".", "-"), path, sha256(path))
    if entry == config.calibration.mix:
        return source_of_mix(default_mix(config.calibration, config.data_dir), sha256, reporter, read)
    spec = given.get(entry, entry)
    if not is_mix(spec):
        known = ["none", config.calibration.mix, *given, *(name for name in shipped_mixes() if name not in given)]
        allowed = f"{', '.join(known)}, the .yaml file of a mix, or an imatrix file ({' or '.join(MATRIX_SUFFIXES)})"
        raise BadInput(Fault("--imatrix", entry, allowed, near_names(entry, known)))
    return source_of_mix(read_mix(spec, data_dir=config.data_dir, key="--imatrix"), sha256, reporter, read)


def default_mix(calibration: Calibration, data_dir: Path | None) -> Mix:
    """Return the mix that is used if no mix is named.

    It has the texts of `--calibration` in equal shares. If `--calibration` names one mix, it is that mix. Without
    `--calibration` it has the texts of the data folder.

    Raises:
        BadInput: `--calibration` names several mixes, or there is no text at all.
    """
    mixes = [spec for spec in calibration.texts if is_mix(spec)]
    texts = [spec for spec in calibration.texts if not is_mix(spec)]
    if not texts and len(mixes) == 1:
        return read_mix(mixes[0], data_dir=data_dir, key="--calibration")
    if not texts and mixes:
        names = ",".join(Path(spec).name.removesuffix(SUFFIX) for spec in mixes)
        raise BadInput(Fault("--calibration", ", ".join(mixes), "one mix", f"For several: --imatrix {names}."))
    if not texts and data_dir is not None:
        texts = [str(path) for path in sorted((data_dir / "calibration").glob("*.txt"))]
    if len(texts) > MOST_TEXTS:
        got = f"{len(texts):,} texts"
        raise BadInput(Fault("--calibration", got, f"at most {MOST_TEXTS:,} texts", "Join them into fewer files."))
    if not texts:
        allowed = "at least one text for the importance matrix"
        step = "Give --calibration FILE, a --data-dir with calibration/*.txt, or --imatrix none."
        raise BadInput(Fault("--calibration", _looked_at(data_dir), allowed, step))
    return Mix(calibration.mix, tuple((resolve_path(text, key="--calibration"), 1 / len(texts)) for text in texts))


def _looked_at(data_dir: Path | None) -> str | None:
    """Return where no text was found, in words."""
    if data_dir is None:
        return None
    found = "has no calibration/*.txt" if data_dir.is_dir() else "is not a folder" if exists(data_dir) else "is missing"
    return f"none, and --data-dir {data_dir} {found}"


def source_of_mix(mix: Mix, sha256: Sha256, reporter: Reporter, read: ReadText = read_calibration) -> SourceImatrix:
    """Read and hash each text of a mix once. Raise `BadInput` if a text cannot be read or fetched."""
    texts = []
    for text, share in mix.texts:
        found = _fetch_rows(text, reporter) if isinstance(text, DatasetRows) else None
        path = str(found.path) if found else str(text)
        read(path)
        file, _, part = path.partition("#")
        digest = sha256(file)
        source = found.source if found else None
        texts.append(CalibrationText(path, f"{digest}#{part}" if part else digest, share, source))
    rules = ChunkRules(mix.chunk_shuffle_seed, mix.parse_special, mix.chat_template)
    return SourceImatrix(mix.name, texts=tuple(texts), rules=rules, size=mix.size)


def _fetch_rows(wanted: DatasetRows, reporter: Reporter) -> DatasetText:
    """Write the rows of a data set into a file of the cache. Raise `BadInput` if they cannot be fetched."""
    with reporter.transfer(f"data set {wanted.dataset}") as report:
        return dataset_text(wanted, Hub(), read_environment().cache_dir, key="--calibration", report=report)


def check_size(config: PipelineConfig, source: SourceImatrix, vocabulary: Model, read: ReadText) -> None:
    """Raise `BadInput` if the texts hold fewer tokens than the configuration asks for."""
    size, ctx = config.calibration.dataset_size, config.calibration.ctx
    try:
        make_chunks(vocabulary, source.texts, dataset_size=source.tokens(size), ctx=ctx, rules=source.rules, read=read)
    except BadInput as error:
        if source.size == 1.0:
            raise
        got = f"{size} ({source.tokens(size)} for the mix {source.name}, which takes {source.size:g} times as many)"
        raise BadInput([replace(fault, got=got) for fault in error.faults]) from None


def check_overlap(
    sources: Iterable[SourceImatrix],
    benchmarks: Sequence[BenchmarkData],
    vocabulary: Model,
    read: ReadText,
    *,
    allow: bool,
) -> tuple[str, ...]:
    """Compare all calibration texts with all items of the benchmarks, including those beyond the limit.

    Args:
        allow: return shared sequences as notices instead of raising.

    Raises:
        BadInput: texts and benchmarks share sequences, and `allow` is False.
    """
    paths = {text.path for source in sources for text in source.texts}
    if not paths:
        return ()
    texts = {path: read(path) for path in sorted(paths)}
    documents = {data.spec.name: documents_of(data.items, vocabulary) for data in benchmarks}
    found = find_overlaps(texts, documents)
    if found and not allow:
        raise BadInput([_overlap_fault(one) for one in found])
    return tuple(_overlap_notice(one) for one in found)


def _overlap_notice(one: Overlap) -> Notice:
    return Notice(
        "texts_overlap",
        text=text_name(one.text),
        benchmark=one.benchmark,
        n_shared=one.n_shared,
        words=WORDS,
        characters=CHARACTERS,
        example=one.example,
    )


def _overlap_fault(one: Overlap) -> Fault:
    got = f"{text_name(one.text)}, which {_shares(one)}"
    step = "Remove these passages, use another text, or go on in spite of them with --allow-overlap."
    return Fault("--calibration", got, "text that shares no passages with the benchmarks", step)


def _shares(one: Overlap) -> str:
    many = f"{one.n_shared} sequence{'s' if one.n_shared > 1 else ''} of {WORDS} words or {CHARACTERS} characters"
    return f"shares {many} with {one.benchmark} (for example '{one.example}')"


def documents_of(items: Sequence[Item], vocabulary: Model) -> list[str]:
    """Return the texts of a benchmark's items: prompts and choices, or the text that perplexity is measured on."""
    tasks = [item.task for item in items]
    measured = [token for task in tasks if isinstance(task, Measure) for token in task.tokens]
    prompts = [
        "\n".join((*(message.content for message in task.messages), *getattr(task, "then", ())))
        for task in tasks
        if isinstance(task, Generate | Choose)
    ]
    choices = [choice for task in tasks if isinstance(task, Choose) for choice in task.choices]
    return [*_without_common_start(prompts), *choices, *([_text_of(measured, vocabulary)] if measured else [])]


def _without_common_start(prompts: Sequence[str]) -> list[str]:
    """Return the beginning that all prompts share, then each prompt without most of that beginning.

    Few-shot prompts consist mostly of the examples at their beginning.
    """
    if not prompts:
        return []
    first, last = min(prompts), max(prompts)
    common = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    start = max(0, common - _SEAM_CHARACTERS)
    return [prompts[0][:common], *(prompt[start:] for prompt in prompts)]


def _text_of(tokens: Sequence[int], vocabulary: Model) -> str:
    """Return the text of tokens. Bytes that are not UTF-8 become replacement characters."""
    pieces: Mapping[int, bytes] = {token: vocabulary.piece(token) for token in set(tokens)}
    return b"".join(pieces[token] for token in tokens).decode("utf-8", "replace")
