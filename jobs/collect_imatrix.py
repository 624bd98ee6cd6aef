"""Phase 1 alone: collects an importance matrix from calibration texts, or shows what is in one.

    python -m jobs.collect_imatrix --model model-f16.gguf --output imatrix.gguf --calibration text.txt
    python -m jobs.collect_imatrix --show-statistics imatrix.gguf

The matrix is in llama.cpp's own format; `OUTPUT.manifest.json` beside it says what it was made of. Interrupted, the
same command goes on at the last group of chunks that `OUTPUT.parts` holds. Processes of this machine share the groups
(--shards), so Ray is not needed here. Exit codes: 0 done; 1 llama.cpp failed; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from actors.errors import QuantAssayError
from actors.llama import library
from actors.llama.gguf_file import read_header
from actors.orchestrator.plan import SourceImatrix
from actors.quantization.calibration import text_name
from actors.quantization.imatrix import check_room, count_groups
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.imatrix_statistics import layer_statistics, statistics_of
from actors.store import file_sha256
from actors.work import GROUP_CHUNKS, ImatrixOrder
from conf.faults import BadInput, Fault
from conf.load import resolve_path
from conf.mixes import is_mix, shipped_mixes
from conf.schema import Calibration
from jobs import _arguments as arguments
from jobs._calibration import default_mix, source_of
from jobs._counter import Counter
from jobs._imatrix_table import statistics_text
from jobs._output import check_folder
from jobs._shards import collect_in_processes

DEFAULTS = Calibration()
DEFAULT_TEXT = "package:pydoc_data/topics.py"


def parser() -> argparse.ArgumentParser:
    """The command line of the job."""
    made = argparse.ArgumentParser(
        prog="python -m jobs.collect_imatrix",
        description="Collect an importance matrix: how strongly each column of each weight matrix is used.",
        epilog="Text like that of the model's later use serves best, and a model that is not quantized yet.",
    )
    # Gathered as in the pipeline, so that a second model is refused and does not quietly replace the first.
    model_help = "GGUF file of one model (f32, f16 or bf16 preferred)"
    made.add_argument("--model", action="append", metavar="[NAME=]PATH", help=model_help)
    made.add_argument("--output", metavar="X.gguf", help="the matrix's file")
    made.add_argument(
        "--calibration",
        action="append",
        metavar="FILE_OR_MIX",
        help="UTF-8 text; give it again for more, in equal shares; FILE#1/2 takes the first half. Or one mix: "
        f"{', '.join(shipped_mixes())}, or a .yaml file (default: CPython's help topics, English only)",
    )
    made.add_argument(
        "--data-dir", metavar="DIR", help="where a mix finds its texts that are not beside it: in DIR/calibration"
    )
    size_help = f"calibration tokens in all, taken in whole chunks (default {DEFAULTS.dataset_size})"
    made.add_argument("--dataset-size", type=int, default=DEFAULTS.dataset_size, metavar="TOKENS", help=size_help)
    made.add_argument(
        "--ctx", type=int, default=DEFAULTS.ctx, metavar="N", help=f"tokens a chunk (default {DEFAULTS.ctx})"
    )
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default 2)")
    shards_help = (
        f"processes that share the groups of {GROUP_CHUNKS} chunks, each with the model and --threads of its own "
        "(default 1); the matrix is the same, bit for bit"
    )
    made.add_argument("--shards", type=int, default=1, metavar="N", help=shards_help)
    statistics_help = "show the statistics of a matrix (.gguf, or the older .dat) and stop; needs no --model"
    made.add_argument("--show-statistics", metavar="FILE", help=statistics_help)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; gives back the exit code."""
    made = parser()
    options = made.parse_args(argv)
    try:
        if options.show_statistics is not None:
            print(describe_matrix(options.show_statistics))
            return arguments.EXIT_DONE
        order = make_order(options)
        if not options.calibration:
            print(
                "no --calibration given: CPython's help topics are read, English text about Python only",
                file=sys.stderr,
            )
        with Counter("importance matrix", total=order.dataset_size // order.ctx * order.ctx, unit="tokens") as counter:
            manifest = collect_in_processes(order, options.shards, counter.advance)
    except BadInput as error:
        return arguments.fail(error, made.prog)
    except QuantAssayError as error:
        print(f"{made.prog}: {error}", file=sys.stderr)
        return arguments.EXIT_FAILED
    print(f"{order.output_path}: {manifest.n_tensors} tensors from {manifest.n_tokens:,} tokens, ", end="")
    shared, each = (f" of {options.shards} processes", " each") if options.shards > 1 else ("", "")
    print(f"{manifest.seconds:.1f} s{shared} ({manifest.tokens_per_second:,.0f} tokens/s{each})")
    return arguments.EXIT_DONE


def describe_matrix(path: str) -> str:
    """The statistics of a matrix as text. Raises `BadInput` for another file."""
    statistics = statistics_of(read_imatrix(path, key="--show-statistics").entries)
    return statistics_text(path, statistics, layer_statistics(statistics))


def make_order(options: argparse.Namespace) -> ImatrixOrder:
    """The order that the command line stands for.

    Raises:
        BadInput: with every fault found.
    """
    faults = [
        Fault(f"--{name}", getattr(options, name), f"a whole number, at least {least}")
        for name, least in (("ctx", 32), ("threads", 1), ("shards", 1))
        if getattr(options, name) < least
    ]
    models = options.model or []
    if len(models) != 1:
        faults.append(Fault("--model", ", ".join(models) or None, "one model", "A matrix belongs to one model."))
    output = Path(options.output or "").absolute()
    if output.suffix != ".gguf" or output.is_dir():
        faults.append(Fault("--output", options.output, "the name of a .gguf file"))
    if faults:
        raise BadInput(faults)
    model_path = resolve_path(arguments.named_path(models[0])["path"])
    read_header(model_path)
    source = _source(options)
    check_folder(output.parent, "--output")
    order = ImatrixOrder(
        model_path=model_path,
        mix=source.name,
        texts=source.texts,
        dataset_size=options.dataset_size,
        ctx=options.ctx,
        threads=options.threads,
        gpu_layers=0,
        output_path=str(output),
        key={
            "kind": "imatrix",
            "model": file_sha256(model_path),
            "texts": [[text_name(text.path), text.sha256, text.share] for text in source.texts],
            "rules": asdict(source.rules),
            "dataset_size": options.dataset_size,
            "ctx": options.ctx,
            "group_chunks": GROUP_CHUNKS,
            "threads": options.threads,
            "build": library.build(),
        },
        rules=source.rules,
    )
    if options.shards > max(1, count_groups(order)):
        allowed = f"at most {max(1, count_groups(order))}, the groups of {GROUP_CHUNKS} chunks in --dataset-size"
        raise BadInput(Fault("--shards", options.shards, allowed))
    check_room(order)
    return order


def _source(options: argparse.Namespace) -> SourceImatrix:
    """The texts of the command line, or its one mix."""
    specs = tuple(options.calibration or [DEFAULT_TEXT])
    if len(specs) > 1 and any(is_mix(spec) for spec in specs):
        raise BadInput(Fault("--calibration", ", ".join(specs), "one mix, or texts", "Put the texts into a mix file."))
    data_dir = Path(options.data_dir) if options.data_dir else None
    return source_of(default_mix(Calibration(texts=specs), data_dir), file_sha256)


if __name__ == "__main__":
    sys.exit(main())
