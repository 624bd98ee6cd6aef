"""Keys: what an output is made from, as JSON. The hash of a key tells whether an existing output can be used again.

The planner and the jobs of single phases make their keys here, so the same ingredients give the same key everywhere.
A key holds everything that can change the output, and nothing else. Files of the cache (converted checkpoints, rows of
data sets) are not outputs of a run: the modules that make them have rules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from actors.hashing import content_hash
from actors.llama.devices import DeviceUse
from actors.orders import PROMPT_VERSION
from actors.quantization_orders import GROUP_CHUNKS, CalibrationText, ChunkRules
from actors.recipes import Recipe, uses_imatrix
from actors.token_classes import weights_key
from conf.schema.protection import TokenWeights

KEY_RULE = 1
"""Version of the rules by which keys are made. Raise it if the same key would now stand for another output."""


def make_key(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key for `content`: the content and the version of the rules. Every key is made here."""
    return {"rule": KEY_RULE, **content}


def arm_key(*, model: str, recipe: Recipe, imatrix: str | None, build: Mapping[str, str]) -> dict[str, Any]:
    """Return the key of a quantized file.

    Args:
        model: sha256 of the model's file.
        recipe: how the file is quantized.
        imatrix: hash of the importance matrix: of its key if the pipeline collects it, else of its file. None if there
            is no matrix. It does not enter the key if the recipe does not use a matrix.
        build: versions of llama.cpp and the CPU features that it uses.
    """
    return make_key(
        {
            "kind": "arm",
            "model": model,
            "recipe": recipe.identity,
            "imatrix": imatrix if uses_imatrix(recipe) else None,
            "build": dict(build),
        }
    )


def errors_hash(key: Mapping[str, Any]) -> str:
    """Return the hash under which measured quantization errors are kept, given the `arm_key` of one of their users.

    All arms that are made from the same model with the same matrix share these errors, whatever their recipes are.
    """
    return content_hash({**key, "kind": "errors", "recipe": None})


def imatrix_key(
    *,
    model: str,
    texts: Sequence[CalibrationText],
    rules: ChunkRules,
    dataset_size: int,
    ctx: int,
    threads: int,
    gpu_layers: int,
    token_weights: TokenWeights | None,
    build: Mapping[str, str],
    devices: DeviceUse | None = None,
) -> dict[str, Any]:
    """Return the key of an importance matrix.

    Args:
        model: sha256 of the model's file, or the hash of the arm's key if the matrix is collected on an arm.
        texts: only their content and their shares enter the key. Their names and paths do not.
        rules: how the texts are cut into chunks.
        dataset_size: calibration tokens in all.
        ctx: tokens per chunk.
        threads: CPU threads. Sums in floating point depend on their number.
        gpu_layers: layers that are decoded on the GPU.
        token_weights: weight of each class of tokens. None: every token counts once.
        build: versions of llama.cpp and the CPU features that it uses.
        devices: the devices that hold these layers. None: there are none.
    """
    return make_key(
        {
            "kind": "imatrix",
            "model": model,
            "texts": [[text.sha256, text.share] for text in texts],
            "dataset_size": dataset_size,
            "ctx": ctx,
            "rules": asdict(rules),
            "group_chunks": GROUP_CHUNKS,
            "threads": threads,
            "gpu_layers": gpu_layers,
            "build": dict(build),
            **({"devices": asdict(devices)} if devices else {}),
            **weights_key(token_weights),
            **({"prompts": PROMPT_VERSION} if rules.chat_template else {}),
        }
    )
