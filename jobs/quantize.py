"""Phase 2 alone: makes GGUF files from one model, one per recipe, and verifies each of them.

    python -m jobs.quantize --model model-f16.gguf --imatrix imatrix.gguf --formats bf16,q8_0,q4_k_m --output quantized

Writes `OUTPUT/<model>-<RECIPE>.gguf`, with `.manifest.json` and `.log.txt` beside it. A file that exists already and
was made from the same things is not made again. llama.cpp uses all given threads for one file, so this job needs no
Ray. Exit codes: 0 done; 1 some files could not be made; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.errors import QuantAssayError
from actors.hashing import file_sha256
from actors.keys import arm_key, errors_hash
from actors.llama import library
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.isolated_trial import check_loads
from actors.machine import check_folder
from actors.orchestrator.sources.hashes import gguf_sha256
from actors.orchestrator.sources.models import fetch, find
from actors.orchestrator.sources.recipes import predict_size
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.quantize import ArmManifest, check_room, make_arm, read_importance
from actors.quantization_orders import QuantizeOrder
from actors.recipes import Recipe, check_custom_recipes, needs_imatrix, protected, resolve_recipe
from actors.stored_files import ArmFiles, gguf_name, shared_errors_path
from conf.faults import BadInput, Fault, Faults, checked
from conf.files import exists, read_object
from conf.load import load
from conf.schema.base import split_names
from conf.schema.pipeline import PipelineConfig
from jobs import _arguments as arguments
from jobs._counter import Steps, TerminalReporter
from jobs._named_paths import named_path
from jobs._parser import Parser
from jobs._stopping import NOTHING_STARTED, stoppable
from jobs._terminal import complain_of_disk, say
from reporting.escape import hanging

DEFAULT_FORMATS = "bf16,q8_0,q4_k_m"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = Parser(
        prog="python -m jobs.quantize",
        description="Make GGUF files from one model by several types and recipes, and verify each of them.",
        epilog="To evaluate the files: `python -m jobs.evaluate --models OUTPUT`.",
    )
    # Collected in a list, as in the pipeline: a second model is then refused instead of replacing the first.
    made.add_argument(
        "--model", action="append", required=True, metavar=arguments.MODEL_METAVAR, help=arguments.MODEL_HELP
    )
    made.add_argument("--output", required=True, metavar="DIR", help="folder for the GGUFs and their manifests")
    made.add_argument("--imatrix", default="none", metavar="X.gguf|none", help="importance matrix (default none)")
    formats_help = f"llama.cpp types and recipes: {DEFAULT_FORMATS} (default), q4_k_l, q4_k_m-fp16, custom ones, ..."
    made.add_argument("--formats", "--quantizations", default=DEFAULT_FORMATS, metavar="A,B,...", help=formats_help)
    config_help = "configuration file: sets custom `recipes` for --formats, and `protection`; the rest is ignored"
    made.add_argument("--config", metavar="FILE.yaml", help=config_help)
    arguments.add_protection(made)
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default 2)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code."""
    made = parser()
    options = made.parse_args(argv)
    try:
        with stoppable(NOTHING_STARTED):
            orders = make_orders(options)
        with stoppable("Finished files are kept. Run the same command again to make the others."):
            failed = sum(not _make(order, f"[{number}/{len(orders)}]") for number, order in enumerate(orders, start=1))
    except BadInput as error:
        return arguments.fail(error, made)
    except OSError as error:
        complain_of_disk(error)
        say("Finished files are kept. Free some disk space, and run the same command again to make the others.")
        return arguments.EXIT_FAILED
    return arguments.EXIT_FAILED if failed else arguments.EXIT_DONE


def make_orders(options: argparse.Namespace) -> list[QuantizeOrder]:
    """Return the orders that the command line asks for, one per file.

    Raises:
        BadInput: with every fault found.
    """
    faults = Faults()
    model = named_path(options.model[0])
    config = faults.gather(_config, options, model)
    recipes = None if config is None else faults.gather(_recipes, options, config)
    found = faults.gather(find, model["path"], key="--model", is_model=True)
    imatrix_path = None if options.imatrix == "none" else str(Path(options.imatrix).absolute())
    if imatrix_path is not None:
        faults.gather(read_imatrix, imatrix_path)
    if len(options.model) != 1:
        faults.found.append(Fault("--model", ", ".join(options.model), "one model", "Run the job once per model."))
    if options.threads < 1:
        faults.found.append(Fault("--threads", options.threads, "a whole number, at least 1"))
    faults.stop_if_any()
    header = read_header(fetch(checked(found), TerminalReporter()).path)
    check_loads(header, key="--model", got=model["path"])
    faults.gather(check_room, header)
    if imatrix_path is not None:
        faults.gather(read_importance, imatrix_path, header)
    sizes = [
        faults.gather(predict_size, str(header.path), made[0], with_imatrix=imatrix_path is not None)
        for made in checked(recipes)
    ]
    faults.stop_if_any()
    output = Path(options.output).absolute()
    # A control has the same size as the recipe that it controls.
    needed_bytes = sum(len(made) * checked(size) for made, size in zip(checked(recipes), sizes, strict=True))
    check_folder(output, "--output", needed_bytes=needed_bytes)
    imatrix_sha256 = None if imatrix_path is None else file_sha256(imatrix_path)
    source = _Source(header, model["name"], gguf_sha256(header), imatrix_path, imatrix_sha256)
    orders = [_order(source, recipe, output, options.threads) for made in checked(recipes) for recipe in made]
    for order in orders:
        faults.gather(_check_not_foreign, order)
    faults.stop_if_any()
    return orders


def _check_not_foreign(order: QuantizeOrder) -> None:
    """Raise `BadInput` if the place of a file is taken by one that was made from another model, or by somebody else.

    Files of the same model are replaced if anything else has changed.
    """
    files = ArmFiles.in_shared_folder(order.output_path)
    if not exists(files.gguf):
        return
    step = "Give the model another name (--model NAME=PATH), or choose another --output."
    if exists(files.manifest):
        key = (read_object(files.manifest) or {}).get("key")
        if not isinstance(key, dict):
            got = f"{files.gguf}, whose manifest is damaged: it may have been made from another model"
            raise BadInput(Fault("--output", got, "a folder without files of this name", f"Remove it. Or: {step}"))
        if key.get("model") != order.key["model"]:
            got = f"{files.gguf}, which was made from another model"
            raise BadInput(Fault("--output", got, "a folder without files of this name", step))
    elif not exists(files.log):  # an interrupted start leaves its log
        got = f"{files.gguf}, which this job has not made"
        raise BadInput(Fault("--output", got, "a folder without files of this name", step))


def _config(options: argparse.Namespace, model: dict[str, str]) -> PipelineConfig:
    """Return the user's configuration, overridden by the protection flags. Raise `BadInput` for faults in it."""
    protection = arguments.flag_values(options).get("protection", {})
    config = load(options.config, {"models": [model], "protection": protection})
    check_custom_recipes(config.recipes)
    return config


def _recipes(options: argparse.Namespace, config: PipelineConfig) -> list[tuple[Recipe, ...]]:
    """Return what is made for each recipe of --formats: the recipe, under protection if asked, then its control if any.

    Raises:
        BadInput: no recipe, unknown recipes, or recipes that need an importance matrix if there is none.
    """
    names = split_names(options.formats)
    if not names:
        raise BadInput(Fault("--formats", options.formats, f"llama.cpp types or recipes, such as {DEFAULT_FORMATS}"))
    faults = Faults()
    named = [faults.gather(resolve_recipe, name, config.recipes, key="--formats") for name in names]
    # Different names may stand for one recipe: q4_k is q4_k_m.
    recipes = {recipe.name: recipe for recipe in named if recipe is not None}.values()
    if options.imatrix == "none":
        faults.found += [_needs_imatrix(recipe) for recipe in recipes if needs_imatrix(recipe)]
    faults.stop_if_any()
    return [protected(recipe, config.protection) for recipe in recipes]


def _needs_imatrix(recipe: Recipe) -> Fault:
    allowed = f"an importance matrix: {recipe.name} cannot be made without one"
    return Fault("--imatrix", "none", allowed, "Collect one: python -m jobs.collect_imatrix.")


@dataclass(frozen=True)
class _Source:
    """What all files are made from."""

    header: GgufHeader
    model_name: str
    model_sha256: str
    imatrix_path: str | None
    imatrix_sha256: str | None


def _order(source: _Source, recipe: Recipe, output: Path, threads: int) -> QuantizeOrder:
    key = arm_key(model=source.model_sha256, recipe=recipe, imatrix=source.imatrix_sha256, build=library.build())
    return QuantizeOrder(
        arm=recipe.name + recipe.suffix,
        model_path=str(source.header.path),
        model_name=source.model_name,
        recipe=recipe,
        imatrix_path=source.imatrix_path,
        threads=threads,
        output_path=str(output / gguf_name(source.model_name, recipe.file_label)),
        dequantized_from=source.header.dequantized_from,
        key=key,
        measured_path=str(shared_errors_path(output, errors_hash(key))) if recipe.budget else None,
    )


def _make(order: QuantizeOrder, place: str) -> bool:
    """Make one file unless it exists already. Return False if it could not be made.

    Args:
        place: number of the file among all files, shown before its name.
    """
    files = ArmFiles.in_shared_folder(order.output_path)
    if files.are_complete() and (read_object(files.manifest) or {}).get("key") == order.key:
        say(f"{place} {order.arm}: {files.gguf} exists already, nothing to do")
        return True
    try:
        with Steps(f"{place} {order.arm}", unit="tensors") as steps:
            manifest = make_arm(order, files, steps.show)
    except QuantAssayError as error:
        say(f"{place} {order.arm}: failed: {hanging(str(error))}")
        return False
    say(f"{place} {order.arm}: {_describe(files.gguf, manifest)}")
    return True


def _describe(path: Path, manifest: ArmManifest) -> str:
    text = f"{path}, {manifest.size_bytes / 2**20:.1f} MiB, {manifest.bits_per_weight:.2f} bits per weight"
    text += f", {manifest.seconds:.1f} s"
    if manifest.dequantized_from:
        text += f"; dequantized from {manifest.dequantized_from}"
    if manifest.budget is not None:
        text += f"; {manifest.budget.added_bpw:+.3f} bits per weight compared with {manifest.method}"
        if manifest.budget.predicted_error is not None:
            text += f", predicted error {manifest.budget.predicted_error:.3g}"
            text += f" ({manifest.budget.predicted_error_base:.3g} for {manifest.method} alone)"
    if manifest.fallbacks.count:
        taken = ", ".join(f"{count} {kind}" for kind, count in manifest.fallbacks.by_type.items())
        text += f"; {manifest.fallbacks.count} of {manifest.fallbacks.tensors_quantized} tensors fell back ({taken})"
    return text


if __name__ == "__main__":
    sys.exit(main())
