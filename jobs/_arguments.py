"""The options that the jobs share, and how they become configuration values.

An option that a later version brings is known already and refused with the reason, so that nobody believes it works.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from typing import Any, get_args

from actors.recipes import match_recipe_at_end
from conf.faults import BadInput, Fault
from conf.hub_ids import stem_of
from conf.schema import PROTECTION_BPW, Language, ProtectionLevel
from jobs._parser import EXIT_BAD_INPUT

EXIT_DONE, EXIT_FAILED = 0, 1
MODEL_METAVAR = "[NAME=]MODEL"
MODEL_HELP = (
    "what to quantize: a GGUF file (f32, f16 or bf16 preferred; of a split one any part), the folder of a Hugging Face "
    "checkpoint, owner/name[@REVISION] on the hub, or a GGUF there: hf:owner/name[@REVISION]/file.gguf"
)


def add_model(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    again = f"{MODEL_HELP}; give it again for more models"
    parser.add_argument("--model", action="append", metavar=MODEL_METAVAR, required=required, help=again)


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Options of phase 3."""
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--benchmarks",
        metavar="A,B,...",
        help="gsm8k, math, arc_challenge, perplexity (default); gsm8k_chat, math_full, arc_challenge_letter, mgsm_ja, "
        "perplexity_wikitext2, perplexity_ja_wiki; or files of your own, .yaml or .py (see the README)",
    )
    group.add_argument("--runs", type=int, metavar="N", help="repeats of sampled benchmarks, one seed each (default 5)")
    group.add_argument("--seed", type=int, metavar="N", help="first seed (default 0)")
    group.add_argument(
        "--temperature", type=float, metavar="T", help="0 is greedy: one run is enough then (default 0.7)"
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer in tokens (default 512)")
    group.add_argument(
        "--limit", type=int, metavar="N", help="first N items of each benchmark's fixed shuffle (default: all)"
    )
    group.add_argument(
        "--aa",
        action="store_const",
        const=True,
        help="noise floor: the reference once more in another batch layout, as arm f16~aa, where nothing is sampled",
    )
    group.add_argument(
        "--early-stop",
        action="store_const",
        const=True,
        help="end a benchmark for an arm once its verdict is in, where answers are right or wrong; intervals are wider",
    )
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder of data sets, one folder a benchmark (default: from the hub)"
    )
    group.add_argument(
        "--reference", metavar="ARM", help="the arm that others are compared with (default: f32, bf16 or f16)"
    )
    group.add_argument("--judge-url", metavar="URL", help="(not there yet)")
    group.add_argument("--judge-model", metavar="NAME", help="(not there yet)")


def add_quantization(parser: argparse.ArgumentParser) -> None:
    """Options of phases 1 and 2."""
    group = parser.add_argument_group("importance matrix and quantization")
    group.add_argument(
        "--quantizations",
        metavar="A,B,...",
        help="llama.cpp types and recipes: bf16,q8_0,q4_k_m (default), iq4_xs, q4_k_l, q4_k_m-fp16, your own, ...",
    )
    group.add_argument(
        "--imatrix",
        metavar="MIX_OR_FILE[,...]|none",
        help="what --calibration says (default), a mix by its name (en, en-ja4) or .yaml file, an imatrix file (.gguf, "
        ".dat), or none; each after the first makes every lossy quantization once more",
    )
    group.add_argument(
        "--calibration",
        action="append",
        metavar="FILE_OR_MIX",
        help="calibration text (give it again for more, in equal shares), or a mix: a name, or a .yaml file with texts "
        "and shares",
    )
    group.add_argument(
        "--allow-overlap",
        action="store_const",
        const=True,
        help="go on, with a notice, where calibration text and benchmarks share passages",
    )
    size_help = "calibration tokens a mix, times its `size` (default 65536)"
    group.add_argument("--dataset-size", type=int, metavar="TOKENS", help=size_help)
    add_protection(group)


def add_protection(group: argparse._ActionsContainer) -> None:
    """Options that say how many bytes go to the tensors that need them."""
    levels = ", ".join(f"{name} +{bits:g}" for name, bits in PROTECTION_BPW.items())
    group.add_argument(
        "--protection-level",
        choices=get_args(ProtectionLevel),
        help=f"bits a weight added to each lossy quantization, where they reduce its error most ({levels}; default "
        "none); beside each such arm a control arm of equal size is made",
    )
    group.add_argument("--no-controls", action="store_const", const=False, dest="controls", help="make no control arms")
    group.add_argument(
        "--target-bpw",
        type=float,
        metavar="BITS",
        help="in place of a level: bits a weight in all, and the types that then lose least",
    )
    group.add_argument("--target-size", metavar="SIZE", help="the same for the size of the file: 4.2GiB, 900MiB, 4.5GB")


def add_execution(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("execution")
    group.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads a worker (default 2); part of what records depend on"
    )
    group.add_argument("--max-workers", type=int, metavar="N", help="workers side by side at most (default: what fits)")
    group.add_argument("--lang", choices=get_args(Language), help="charts and documents (default both)")
    group.add_argument(
        "--config", metavar="FILE.yaml", help="configuration file (default conf/default.yaml); flags win over it"
    )


_PLACES: Mapping[str, tuple[str, ...]] = {
    "model": ("models",),
    "arm": ("arms",),
    "quantizations": ("quantizations",),
    "benchmarks": ("benchmarks",),
    "imatrix": ("imatrix",),
    "reference": ("reference",),
    "runs": ("runs",),
    "seed": ("seed",),
    "limit": ("limit",),
    "aa": ("noise_floor",),
    "early_stop": ("statistics", "early_stop"),
    "data_dir": ("data_dir",),
    "storage": ("storage",),
    "pipeline_id": ("pipeline_id",),
    "lang": ("lang",),
    "calibration": ("calibration", "texts"),
    "dataset_size": ("calibration", "dataset_size"),
    "allow_overlap": ("calibration", "allow_overlap"),
    "protection_level": ("protection", "level"),
    "controls": ("protection", "controls"),
    "target_bpw": ("protection", "target_bpw"),
    "target_size": ("protection", "target_size"),
    "temperature": ("sampling", "temperature"),
    "max_tokens": ("sampling", "max_tokens"),
    "threads": ("layout", "threads"),
    "max_workers": ("execution", "max_workers"),
}
"""Where each option stands in the configuration."""


def flag_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line sets, nested as `PipelineConfig` is; options that were not given are left out.

    Raises:
        BadInput: for an option that is not there yet, or a name given twice.
    """
    refuse_later(arguments)
    values: dict[str, Any] = {}
    for option, place in _PLACES.items():
        value = getattr(arguments, option, None)
        if value is None:
            continue
        node = values
        for part in place[:-1]:
            node = node.setdefault(part, {})
        node[place[-1]] = _converted(option, value)
    return values


def _converted(option: str, value: Any) -> Any:
    if option == "quantizations":
        return split_names(value.lower())
    if option == "benchmarks":
        return [name if name.endswith((".yaml", ".yml", ".py")) else name.lower() for name in split_names(value)]
    if option == "imatrix":
        return split_names(value)
    if option in ("model", "arm"):
        return [named_path(text) for text in value]
    return value


def split_names(text: str) -> list[str]:
    """`a, b,a` -> [a, b]: names in their order, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def named_path(text: str) -> dict[str, str]:
    """`[NAME=]MODEL`; without a name that of the file or repository, less the type or recipe at its end."""
    name, mark, path = text.partition("=")
    if mark and "/" not in name:
        return {"name": name, "path": path}
    return {"name": model_name(text), "path": text}


def model_name(spec: str) -> str:
    """`SmolLM2-135M.Q4_1.gguf` -> `SmolLM2-135M`; signs that no name may have become `-`."""
    stem = stem_of(spec) or "model"
    ending = match_recipe_at_end(stem)
    return re.sub(r"[^A-Za-z0-9_.+~-]", "-", stem[: ending.start()] if ending else stem)


def refuse_later(arguments: argparse.Namespace) -> None:
    """Say plainly of what is known but not built that it is not there yet."""
    faults = []
    for option in ("judge_url", "judge_model"):
        if getattr(arguments, option, None) is not None:
            faults.append(_later(f"--{option.replace('_', '-')}", getattr(arguments, option), "leaving it out"))
    if faults:
        raise BadInput(faults)


def _later(option: str, got: object, allowed: str) -> Fault:
    return Fault(option, got, allowed, "This is planned, but not there yet.")


def fail(error: BadInput, prog: str) -> int:
    """Print what is wrong with the input, without a traceback; gives back the exit code."""
    print(f"{prog}: bad input, nothing was started", file=sys.stderr)
    for fault in error.faults:
        print(f"  - {fault}", file=sys.stderr)
    return EXIT_BAD_INPUT
