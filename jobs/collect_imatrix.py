"""Phase 1 alone: collects an importance matrix from calibration texts, or shows the statistics of one.

    python -m jobs.collect_imatrix --model model-f16.gguf --output imatrix.gguf --calibration text.txt
    python -m jobs.collect_imatrix --show-statistics imatrix.gguf --chart imatrix.png

The matrix is in llama.cpp's own format. `OUTPUT.manifest.json` beside it says what it was made from. If the job was
interrupted, the same command goes on after the last group of chunks that is saved in `OUTPUT.parts`. The model is
decoded on the devices of this machine if there are some; if they have no memory for all of it, with fewer layers there.
Processes of this machine share the groups (--shards), so this job needs no Ray. Exit codes: 0 done; 1 llama.cpp
failed; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from actors.errors import QuantAssayError
from actors.hashing import file_sha256
from actors.llama.gguf_file import read_header
from actors.llama.isolated_trial import check_loads
from actors.machine import check_folder
from actors.nodes_reading import this_node
from actors.orchestrator.sources.calibration import default_mix, source_of_mix
from actors.orchestrator.sources.inputs import SourceImatrix
from actors.orchestrator.sources.models import fetch, find
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.imatrix_statistics import layer_statistics, statistics_of
from actors.quantization.weighting import TokenWeighting
from actors.quantization_orders import GROUP_CHUNKS
from conf.faults import BadInput, Fault, Faults, checked
from conf.files import require_folder
from conf.load import load
from conf.mixes import is_mix, shipped_mixes
from conf.schema.protection import TokenWeights
from conf.schema.recipes import Calibration
from jobs import _arguments as arguments
from jobs._counter import Counter, TerminalReporter
from jobs._imatrix_order import Collecting, collect_where_it_fits
from jobs._imatrix_table import statistics_text
from jobs._named_paths import named_path
from jobs._parser import Parser
from jobs._stopping import NOTHING_STARTED, stoppable
from jobs._terminal import complain, complain_of_disk, say
from reporting.escape import hanging
from reporting.frames import IMPORTANCE_SCHEMA
from reporting.wording import Words

DEFAULTS = Calibration()
DEFAULT_TEXT = "package:pydoc_data/topics.py"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = Parser(
        prog="python -m jobs.collect_imatrix",
        description="Collect an importance matrix: how strongly each column of each weight matrix is used.",
        epilog="Use texts like those that the model will be used for, and a model that is not quantized.",
    )
    # Collected in a list, as in the pipeline: a second model is then refused instead of replacing the first.
    made.add_argument("--model", action="append", metavar=arguments.MODEL_METAVAR, help=arguments.MODEL_HELP)
    made.add_argument("--output", metavar="X.gguf", help="file for the matrix")
    made.add_argument(
        "--calibration",
        action="append",
        metavar="FILE_OR_MIX",
        help="UTF-8 text; repeat the flag for more texts, in equal shares; FILE#1/2 is the first half of one. Or one "
        f"mix: {', '.join(shipped_mixes())}, or a .yaml file (default: CPython's help topics, in English only)",
    )
    made.add_argument(
        "--data-dir", metavar="DIR", help="DIR/calibration is searched for texts of a mix that are not beside its file"
    )
    size_help = (
        "calibration tokens in all, in whole chunks; a mix multiplies this number by its `size` "
        f"(default {DEFAULTS.dataset_size})"
    )
    made.add_argument("--dataset-size", type=int, default=DEFAULTS.dataset_size, metavar="TOKENS", help=size_help)
    weights_help = "give tokens of mathematics and science more weight; the weights are set in the configuration"
    made.add_argument("--weight-tokens", action="store_true", help=weights_help)
    config_help = "configuration file: sets `protection.token_weights` for --weight-tokens, the rest is ignored"
    made.add_argument("--config", metavar="FILE.yaml", help=config_help)
    made.add_argument(
        "--ctx", type=int, default=DEFAULTS.ctx, metavar="N", help=f"tokens per chunk (default {DEFAULTS.ctx})"
    )
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default 2)")
    shards_help = (
        f"processes that share the groups of {GROUP_CHUNKS} chunks (default 1); each loads the model and uses "
        "--threads threads; the matrix is the same, bit for bit"
    )
    made.add_argument("--shards", type=int, default=1, metavar="N", help=shards_help)
    statistics_help = "show the statistics of a matrix (.gguf, or .dat, the older format) and stop; needs no --model"
    made.add_argument("--show-statistics", metavar="FILE", help=statistics_help)
    made.add_argument("--chart", metavar="FILE.png", help="with --show-statistics: draw a chart, as PNG and SVG")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code."""
    made = parser()
    options = made.parse_args(argv)
    try:
        if options.show_statistics is not None:
            show_matrix(options.show_statistics, options.chart)
            return arguments.EXIT_DONE
        with stoppable(NOTHING_STARTED):
            collecting = read_options(options)
            order = collecting.order()
        if not options.calibration:
            complain("no --calibration given: CPython's help topics are read, which are English and only about Python")
        with (
            stoppable("Finished groups are kept. Run the same command again to do the others."),
            Counter("importance matrix", total=order.dataset_size // order.ctx * order.ctx, unit="tokens") as counter,
        ):
            manifest = collect_where_it_fits(collecting, order, counter.advance)
    except BadInput as error:
        return arguments.fail(error, made)
    except QuantAssayError as error:
        complain(f"{made.prog}: {hanging(str(error))}")
        return arguments.EXIT_FAILED
    except OSError as error:
        complain_of_disk(error)
        say("Finished groups are kept. Free some disk space, and run the same command again to do the others.")
        return arguments.EXIT_FAILED
    shared, each = (f" of {options.shards} processes", " each") if options.shards > 1 else ("", "")
    say(
        f"{hanging(order.output_path)}: {manifest.n_tensors} tensors from {manifest.n_tokens:,} tokens, "
        f"{manifest.seconds:.1f} s{shared} ({manifest.tokens_per_second:,.0f} tokens/s{each})"
    )
    if manifest.token_weighting is not None:
        say(f"weights: {_weights_text(manifest.token_weighting)}")
    return arguments.EXIT_DONE


def show_matrix(path: str, chart: str | None) -> None:
    """Print the statistics of a matrix, and draw them to the file `chart` unless that is None.

    Raises:
        BadInput: the file is not an importance matrix, or the chart cannot be drawn.
    """
    matrix = read_imatrix(path, key="--show-statistics")
    statistics = statistics_of(matrix.entries)
    say(statistics_text(path, statistics, layer_statistics(statistics)))
    if matrix.weighting is not None:
        say(f"weights: {_weights_text(matrix.weighting)}")
    if chart is None:
        return
    output = check_chart(chart)
    rows = [{"matrix": Path(path).name, **asdict(figures)} for figures in statistics]
    # Imported here, because only --chart draws.
    from reporting.charts.importance import importance_chart
    from reporting.charts.render import render

    drawn = importance_chart(pl.DataFrame(rows, schema=IMPORTANCE_SCHEMA), "", Words("en"))
    if drawn is None:
        raise BadInput(Fault("--show-statistics", path, "for a --chart, a matrix of a model's layers"))
    for file in render(drawn, output):
        say(hanging(str(file)))


def check_chart(chart: str) -> Path:
    """Return the chart's path. Raise `BadInput` if it cannot be written or does not end with .png."""
    path = Path(chart)
    if path.suffix.lower() != ".png":
        raise BadInput(Fault("--chart", chart, "a file name that ends with .png", "Its SVG is written beside it."))
    require_folder(path.parent, "--chart")
    return path


def _weights_text(weighting: TokenWeighting) -> str:
    return "; ".join(
        f"{label} {use.weight:g} ({use.tokens:,} tokens, {use.share:.1%} of all, {use.weighted_share:.1%} of the sums)"
        for label, use in weighting.classes.items()
    )


def read_options(options: argparse.Namespace) -> Collecting:
    """Return what the command line asks for.

    Raises:
        BadInput: with every fault found.
    """
    _check_flags(options)
    output, faults = Path(options.output).absolute(), Faults()
    found = faults.gather(find, named_path(options.model[0])["path"], key="--model", is_model=True)
    texts = faults.gather(_source, options)
    faults.gather(check_folder, output.parent, "--output")
    weights = faults.gather(_token_weights, options)
    faults.stop_if_any()
    source, header = checked(texts), read_header(fetch(checked(found), TerminalReporter()).path)
    check_loads(header, key="--model", got=options.model[0])
    return Collecting(
        header=header,
        source=source,
        token_weights=weights,
        output=output,
        dataset_size=options.dataset_size,
        ctx=options.ctx,
        threads=options.threads,
        shards=options.shards,
        node=this_node(options.threads),
    )


def _check_flags(options: argparse.Namespace) -> None:
    """Raise `BadInput` with every fault in the flags themselves. Files are not read yet."""
    faults = Faults()
    faults.found += [
        Fault(f"--{name}", getattr(options, name), f"a whole number, at least {least}")
        for name, least in (("ctx", 32), ("threads", 1), ("shards", 1))
        if getattr(options, name) < least
    ]
    if options.chart is not None:
        faults.found.append(Fault("--chart", options.chart, "only together with --show-statistics"))
    models = options.model or []
    if len(models) != 1:
        step = "A matrix belongs to one model."
        faults.found.append(Fault("--model", ", ".join(models) or None, "one model", step))
    output = Path(options.output or "")
    if output.suffix != ".gguf" or output.is_dir():
        faults.found.append(Fault("--output", options.output, "the name of a .gguf file"))
    faults.stop_if_any()


def _token_weights(options: argparse.Namespace) -> TokenWeights | None:
    """Return the configuration's weights, or None without --weight-tokens. Raise `BadInput` if it cannot be used."""
    if options.weight_tokens:
        return load(options.config, {"models": [named_path(options.model[0])]}).protection.token_weights
    if options.config is not None:
        raise BadInput(Fault("--config", options.config, "only with --weight-tokens", "Add it, or remove --config."))
    return None


def _source(options: argparse.Namespace) -> SourceImatrix:
    """Return the texts that the command line names, or its one mix."""
    specs = tuple(options.calibration or [DEFAULT_TEXT])
    if len(specs) > 1 and any(is_mix(spec) for spec in specs):
        raise BadInput(Fault("--calibration", ", ".join(specs), "one mix, or texts", "Name all texts in one mix file."))
    data_dir = Path(options.data_dir) if options.data_dir else None
    return source_of_mix(default_mix(Calibration(texts=specs), data_dir), file_sha256, TerminalReporter())


if __name__ == "__main__":
    sys.exit(main())
