"""Orders for the tests of the quantization role."""

from __future__ import annotations

from pathlib import Path

from actors.quantization_orders import CalibrationText, ImatrixOrder, QuantizeOrder
from actors.recipes import Recipe

TEXT = "the thing and the other in the end, 日本語の文。\n" * 400


def imatrix_order(model: Path, folder: Path, *, dataset_size: int = 512, ctx: int = 128) -> ImatrixOrder:
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    return ImatrixOrder(
        model_path=str(model),
        mix="default",
        texts=(CalibrationText(str(text), "of the file", 1.0),),
        dataset_size=dataset_size,
        ctx=ctx,
        threads=1,
        gpu_layers=0,
        output_path=str(folder / "imatrix" / "default-0a1b2c3d.gguf"),
        key={"kind": "imatrix"},
    )


def arm_order(model: Path, folder: Path, recipe: str | Recipe, *, imatrix: str | None = None) -> QuantizeOrder:
    recipe = recipe if isinstance(recipe, Recipe) else Recipe(recipe, recipe.upper(), recipe)
    return QuantizeOrder(
        arm=recipe.name,
        model_path=str(model),
        model_name="tiny",
        recipe=recipe,
        imatrix_path=imatrix,
        threads=2,
        output_path=str(folder / "artifacts" / f"{recipe.name}-0a1b2c3d" / f"tiny-{recipe.label}.gguf"),
        dequantized_from=None,
        key={"kind": "arm", "recipe": recipe.identity},
    )
