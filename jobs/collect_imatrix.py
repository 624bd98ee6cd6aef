"""Phase 1 alone: collects an importance matrix from calibration texts.

    python -m jobs.collect_imatrix --model model-f16.gguf --output imatrix.gguf --calibration text.txt

The matrix is in llama.cpp's own format; `OUTPUT.manifest.json` beside it says what it was made of. One model is
read by one process, so Ray is not needed here. Exit codes: 0 done; 1 llama.cpp failed; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.errors import QuantAssayError
from actors.llama import library
from actors.llama.gguf_file import read_header
from actors.quantization.calibration import text_name
from actors.quantization.imatrix import collect
from actors.store import file_sha256
from actors.work import CalibrationText, ImatrixOrder
from conf.faults import BadInput, Fault
from conf.load import resolve_path
from conf.schema import Calibration
from conf.texts import parse_spec, read_text
from jobs import _arguments as arguments
from jobs._counter import Counter
from jobs._output import check_folder

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
    made.add_argument("--model", action="append", required=True, metavar="[NAME=]PATH", help=model_help)
    made.add_argument("--output", required=True, metavar="X.gguf", help="the matrix's file")
    made.add_argument(
        "--calibration",
        action="append",
        metavar="FILE",
        help="UTF-8 text; give it again for more, in equal shares; FILE#1/2 takes the first half "
        "(default: CPython's help topics, English only)",
    )
    size_help = f"calibration tokens in all, taken in whole chunks (default {DEFAULTS.dataset_size})"
    made.add_argument("--dataset-size", type=int, default=DEFAULTS.dataset_size, metavar="TOKENS", help=size_help)
    made.add_argument(
        "--ctx", type=int, default=DEFAULTS.ctx, metavar="N", help=f"tokens a chunk (default {DEFAULTS.ctx})"
    )
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default 2)")
    made.add_argument("--shards", type=int, default=1, metavar="N", help="only 1 is there yet (default)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; gives back the exit code."""
    made = parser()
    options = made.parse_args(argv)
    try:
        order = make_order(options)
        if not options.calibration:
            print(
                "no --calibration given: CPython's help topics are read, English text about Python only",
                file=sys.stderr,
            )
        with Counter("importance matrix", total=order.dataset_size // order.ctx * order.ctx, unit="tokens") as counter:
            manifest = collect(order, counter.advance)
    except BadInput as error:
        return arguments.fail(error, made.prog)
    except QuantAssayError as error:
        print(f"{made.prog}: {error}", file=sys.stderr)
        return arguments.EXIT_FAILED
    print(f"{order.output_path}: {manifest.n_tensors} tensors from {manifest.n_tokens:,} tokens, ", end="")
    print(f"{manifest.seconds:.1f} s ({manifest.tokens_per_second:,.0f} tokens/s)")
    return arguments.EXIT_DONE


def make_order(options: argparse.Namespace) -> ImatrixOrder:
    """The order that the command line stands for.

    Raises:
        BadInput: with every fault found.
    """
    faults = [
        Fault(f"--{name}", getattr(options, name), f"a whole number, at least {least}")
        for name, least in (("ctx", 32), ("threads", 1))
        if getattr(options, name) < least
    ]
    if options.shards != 1:
        faults.append(Fault("--shards", options.shards, "1", "Sharding is planned, but not there yet."))
    if len(options.model) != 1:
        faults.append(Fault("--model", ", ".join(options.model), "one model", "A matrix belongs to one model."))
    output = Path(options.output).absolute()
    if output.suffix != ".gguf" or output.is_dir():
        faults.append(Fault("--output", options.output, "the name of a .gguf file"))
    if faults:
        raise BadInput(faults)
    model_path = resolve_path(arguments.named_path(options.model[0])["path"])
    read_header(model_path)
    texts = [resolve_path(text) for text in options.calibration or [DEFAULT_TEXT]]
    for text in texts:
        read_text(text, key="--calibration")
    check_folder(output.parent, "--output")
    hashes = [file_sha256(parse_spec(text).path) for text in texts]
    return ImatrixOrder(
        model_path=model_path,
        mix=DEFAULTS.mix,
        texts=tuple(CalibrationText(text, sha, 1 / len(texts)) for text, sha in zip(texts, hashes, strict=True)),
        dataset_size=options.dataset_size,
        ctx=options.ctx,
        threads=options.threads,
        gpu_layers=0,
        output_path=str(output),
        key={
            "kind": "imatrix",
            "model": file_sha256(model_path),
            "texts": [[text_name(text), sha] for text, sha in zip(texts, hashes, strict=True)],
            "dataset_size": options.dataset_size,
            "ctx": options.ctx,
            "threads": options.threads,
            "build": library.build(),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
