"""Check a new GGUF before it gets its name: is it what was ordered, does it load, and does it decode?

A file that fails is thrown away. `quantize` handles names and manifests.
"""

from __future__ import annotations

from pathlib import Path

from actors.errors import ConflictError
from actors.llama.file_types import QuantType
from actors.llama.gguf_file import UNQUANTIZED
from actors.llama.gguf_layout import CutShortError, Layout, NotGgufError, read_layout
from actors.llama.overrides import NO_OVERRIDES, TypeOverrides, requested_types
from actors.llama.quantizer import QuantizePlan
from actors.llama.trial import Decodes, load_and_decode

# Metadata that quantizing may change. Everything else must stay, above all the tokenizer and its chat template.
_MAY_CHANGE = ("general.file_type", "general.quantization_version", "quantize.", "split.")


def verify(
    path: Path,
    *,
    source: Layout,
    plan: QuantizePlan,
    quant_type: QuantType,
    overrides: TypeOverrides = NO_OVERRIDES,
    threads: int = 1,
) -> Decodes:
    """Compare a new file with its recipe, its plan and its source. Then load it, validating every row, and decode.

    Raises:
        ConflictError: tensors or metadata differ from plan and source, or logits are not finite.
        LlamaError: the file does not load, or holds values that are not finite.
    """
    try:
        made = read_layout(path)
    except (NotGgufError, CutShortError) as error:
        raise ConflictError(f"llama.cpp wrote an incomplete file: {error or 'cut short'}") from error
    _compare_tensors(made, source, plan)
    _compare_overrides(made, source, plan, overrides)
    _compare_metadata(made, source, quant_type)
    decodes = load_and_decode(path, threads=threads)
    if not decodes.finite:
        said = f"after {decodes.prompt_tokens + len(decodes.tokens)} tokens its logits are not finite"
        raise ConflictError(f"the new file loads but does not decode: {said}")
    return decodes


def _compare_tensors(made: Layout, source: Layout, plan: QuantizePlan) -> None:
    shapes = {tensor.name: tensor.shape for tensor in source.tensors}
    if shapes != {tensor.name: tensor.shape for tensor in made.tensors}:
        raise ConflictError("the new file has different tensors or shapes than its source")
    planned = {tensor.name: tensor.type for tensor in plan.tensors}
    wrong = [tensor for tensor in made.tensors if tensor.type != planned[tensor.name]]
    if wrong:
        first = wrong[0]
        raise ConflictError(
            f"{len(wrong)} tensors are not of the planned type: {first.name} is {first.type}, not {planned[first.name]}"
        )


def _compare_overrides(made: Layout, source: Layout, plan: QuantizePlan, overrides: TypeOverrides) -> None:
    """Raise if an overridden tensor has another type than ordered, is no named fallback, and may be quantized."""
    ordered = requested_types([tensor.name for tensor in made.tensors], overrides)
    before = {tensor.name: tensor.type for tensor in source.tensors}
    fallbacks = {tensor.name: tensor.fallback_from for tensor in plan.fallbacks}
    for tensor in made.tensors:
        order = ordered.get(tensor.name)
        if order is None or order.type in (tensor.type, fallbacks.get(tensor.name)):
            continue
        if tensor.type not in UNQUANTIZED or tensor.type != before[tensor.name]:
            raise ConflictError(f"{tensor.name} is {tensor.type}, but the recipe orders {order.type} ({order.by})")


def _compare_metadata(made: Layout, source: Layout, quant_type: QuantType) -> None:
    file_type = made.metadata.get("general.file_type")
    if file_type != quant_type.ftype:
        raise ConflictError(f"the new file names its type {file_type}, not {quant_type.ftype} ({quant_type.name})")
    changed = [
        key for key, value in source.raw.items() if not key.startswith(_MAY_CHANGE) and made.raw.get(key) != value
    ]
    if changed:
        raise ConflictError(f"metadata was lost or changed: {', '.join(sorted(changed)[:5])}")
