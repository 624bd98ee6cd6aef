"""Phase 2 alone: makes GGUF files by several recipes from one model, each verified.

    python -m jobs.quantize --model model-f16.gguf --imatrix imatrix.gguf --formats bf16,q8_0,q4_k_m --output quantized

Writes `OUTPUT/<model>-<RECIPE>.gguf`, with `.manifest.json` and `.log.txt` beside it; what is there already is not made
again. llama.cpp uses all given threads for one file, so Ray is not needed here. Exit codes: 0 done; 1 some files could
not be made; 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from actors.errors import QuantAssayError
from actors.llama import library
from actors.llama.gguf_file import GgufHeader, read_header
from actors.machine import check_folder
from actors.orchestrator.sources.hashes import gguf_sha256
from actors.orchestrator.sources.models import bring, find
from actors.orchestrator.sources.recipes import predict_size
from actors.orders import QuantizeOrder
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.quantize import ArmManifest, check_room, load_manifest, make_arm, read_importance
from actors.recipes import Recipe, check_own_recipes, needs_imatrix, protected, resolve_recipe
from actors.store import ArmFiles, content_hash, file_sha256, gguf_name, shared_errors_path
from conf.faults import BadInput, Fault
from conf.load import load
from conf.schema import PipelineConfig
from jobs import _arguments as arguments
from jobs._counter import Steps
from jobs._parser import Parser
from jobs._stopping import stoppable

T = TypeVar("T")

DEFAULT_FORMATS = "bf16,q8_0,q4_k_m"


def parser() -> argparse.ArgumentParser:
    """The command line of the job."""
    made = Parser(
        prog="python -m jobs.quantize",
        description="Make GGUF files of several types and recipes from one model, read them back and verify them.",
        epilog="`python -m jobs.evaluate --models OUTPUT` goes on from here.",
    )
    # Gathered as in the pipeline, so that a second model is refused and does not quietly replace the first.
    made.add_argument(
        "--model", action="append", required=True, metavar=arguments.MODEL_METAVAR, help=arguments.MODEL_HELP
    )
    made.add_argument("--output", required=True, metavar="DIR", help="folder for the GGUFs and their manifests")
    made.add_argument("--imatrix", default="none", metavar="X.gguf|none", help="importance matrix (default none)")
    formats_help = f"llama.cpp types and recipes: {DEFAULT_FORMATS} (default), q4_k_l, q4_k_m-fp16, your own, ..."
    made.add_argument("--formats", "--quantizations", default=DEFAULT_FORMATS, metavar="A,B,...", help=formats_help)
    config_help = "configuration file: its `recipes` can be named in --formats, its `protection` counts, nothing else"
    made.add_argument("--config", metavar="FILE.yaml", help=config_help)
    arguments.add_protection(made)
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads (default 2)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; gives back the exit code."""
    made = parser()
    options = made.parse_args(argv)
    try:
        orders = make_orders(options)
        with stoppable("Files that are done stay: the same command goes on with the others."):
            failed = sum(not _make(order, f"[{number}/{len(orders)}]") for number, order in enumerate(orders, start=1))
    except BadInput as error:
        return arguments.fail(error, made.prog)
    return arguments.EXIT_FAILED if failed else arguments.EXIT_DONE


def make_orders(options: argparse.Namespace) -> list[QuantizeOrder]:
    """The orders that the command line stands for, one a recipe.

    Raises:
        BadInput: with every fault found.
    """
    faults: list[Fault] = []
    named = arguments.named_path(options.model[0])
    config = _gathered(faults, lambda: _config(options, named))
    recipes = [
        _gathered(faults, lambda name=name: resolve_recipe(name, config.recipes, key="--formats"))  # type: ignore[misc]
        for name in _names(options)
        if config is not None
    ]
    found = _gathered(faults, lambda: find(named["path"], key="--model", is_model=True))
    imatrix_path = None if options.imatrix == "none" else str(Path(options.imatrix).absolute())
    if imatrix_path is not None:
        _gathered(faults, lambda: read_imatrix(imatrix_path))
    if len(options.model) != 1:
        faults.append(Fault("--model", ", ".join(options.model), "one model", "Call the job once a model."))
    if options.threads < 1:
        faults.append(Fault("--threads", options.threads, "a whole number, at least 1"))
    known = list({recipe.name: recipe for recipe in recipes if recipe is not None}.values())
    faults += [_needs_imatrix(recipe) for recipe in known if needs_imatrix(recipe) and imatrix_path is None]
    if faults or found is None or config is None:
        raise BadInput(faults)
    made = [protected(recipe, config.protection) for recipe in known]
    header = read_header(bring(found).path)
    _gathered(faults, lambda: check_room(header))
    weighted = imatrix_path is not None
    if imatrix_path is not None:
        _gathered(faults, lambda: read_importance(imatrix_path, header))
    sizes = [
        _gathered(faults, lambda one=one: len(one) * predict_size(str(header.path), one[0], with_imatrix=weighted))  # type: ignore[misc]
        for one in made
    ]
    if faults:
        raise BadInput(faults)
    output = Path(options.output).absolute()
    check_folder(output, "--output", needed_bytes=sum(size for size in sizes if size))
    identity = _identity(header, imatrix_path)
    return [
        _order(options, header, named["name"], recipe, imatrix_path, output, identity) for one in made for recipe in one
    ]


def _config(options: argparse.Namespace, model: dict[str, str]) -> PipelineConfig:
    """The user's configuration, its recipes checked, with the flags for protection laid on it."""
    protection = arguments.flag_values(options).get("protection", {})
    config = load(options.config, {"models": [model], "protection": protection})
    check_own_recipes(config.recipes)
    return config


def _order(
    options: argparse.Namespace,
    header: GgufHeader,
    model_name: str,
    recipe: Recipe,
    imatrix_path: str | None,
    output: Path,
    identity: dict[str, Any],
) -> QuantizeOrder:
    return QuantizeOrder(
        arm=recipe.name + recipe.suffix,
        model_path=str(header.path),
        model_name=model_name,
        recipe=recipe,
        imatrix_path=imatrix_path,
        threads=options.threads,
        output_path=str(output / gguf_name(model_name, recipe.file_label)),
        dequantized_from=header.dequantized_from,
        key={"kind": "arm", "recipe": recipe.identity, **identity},
        measured_path=str(shared_errors_path(output, content_hash(identity))) if recipe.budget else None,
    )


def _identity(header: GgufHeader, imatrix_path: str | None) -> dict[str, Any]:
    """What every file of this call is made from."""
    imatrix = file_sha256(imatrix_path) if imatrix_path else None
    return {"model": gguf_sha256(header), "imatrix": imatrix, "build": library.build()}


def _make(order: QuantizeOrder, place: str) -> bool:
    """Make one file, or say that it is there already. False: it could not be made."""
    files = ArmFiles.in_shared_folder(order.output_path)
    if files.are_complete() and load_manifest(files.manifest).key == order.key:
        print(f"{place} {order.arm}: {files.gguf} is there already, nothing to do")
        return True
    try:
        with Steps(f"{place} {order.arm}", unit="tensors") as steps:
            manifest = make_arm(order, files, steps.show)
    except QuantAssayError as error:
        print(f"{place} {order.arm}: failed: {error}", flush=True)
        return False
    print(f"{place} {order.arm}: {_describe(files.gguf, manifest)}", flush=True)
    return True


def _describe(path: Path, manifest: ArmManifest) -> str:
    text = f"{path}, {manifest.size_bytes / 2**20:.1f} MiB, {manifest.bits_per_weight:.2f} bits a weight"
    text += f", {manifest.seconds:.1f} s"
    if manifest.dequantized_from:
        text += f"; dequantized from {manifest.dequantized_from}"
    if manifest.budget is not None:
        text += f"; {manifest.budget.added_bpw:+.3f} bits a weight against {manifest.method}"
        if manifest.budget.predicted_error is not None:
            text += f", predicted error {manifest.budget.predicted_error:.3g}"
            text += f" ({manifest.budget.predicted_error_base:.3g} without)"
    if manifest.fallbacks.count:
        taken = ", ".join(f"{count} {kind}" for kind, count in manifest.fallbacks.by_type.items())
        text += f"; {manifest.fallbacks.count} of {manifest.fallbacks.tensors_quantized} tensors fell back ({taken})"
    return text


def _names(options: argparse.Namespace) -> list[str]:
    names = arguments.split_names(options.formats)
    if not names:
        raise BadInput(Fault("--formats", options.formats, f"llama.cpp types or recipes, as {DEFAULT_FORMATS}"))
    return names


def _needs_imatrix(recipe: Recipe) -> Fault:
    allowed = f"an importance matrix: {recipe.name} cannot be made without one"
    return Fault("--imatrix", "none", allowed, "Collect one: python -m jobs.collect_imatrix.")


def _gathered(faults: list[Fault], check: Callable[[], T]) -> T | None:
    try:
        return check()
    except BadInput as error:
        faults.extend(error.faults)
        return None


if __name__ == "__main__":
    sys.exit(main())
