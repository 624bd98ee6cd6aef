"""Define the options that the jobs share, and turn them into configuration values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

from conf.faults import BadInput, Fault
from conf.flags import FLAGS
from conf.schema.base import split_names
from conf.schema.pipeline import Language
from conf.schema.protection import PROTECTION_BPW, ProtectionLevel
from jobs._judges import judges_of
from jobs._named_paths import named_path
from jobs._parser import EXIT_BAD_INPUT
from jobs._terminal import complain
from reporting.escape import hanging

EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
MOST_FAULTS = 30
"""Most faults to print."""
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
MODEL_METAVAR = "[NAME=]MODEL"
MODEL_HELP = (
    "model to quantize: a GGUF file (preferably f32, f16 or bf16; any part of a split one), the folder of a Hugging "
    "Face checkpoint, a repository on the hub (owner/name[@REVISION]), or a GGUF in one "
    "(hf:owner/name[@REVISION]/file.gguf)"
)


def add_model(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add `--model`."""
    repeated = f"{MODEL_HELP}; repeat the option for more models"
    parser.add_argument("--model", action="append", metavar=MODEL_METAVAR, required=required, help=repeated)


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Add the options of phase 3."""
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--benchmarks",
        metavar="A,B,...",
        help="gsm8k, math, arc_challenge, elyza (these four are the default; a judge scores elyza); perplexity; "
        "gsm8k_chat, math_full, arc_challenge_letter, mgsm_ja, mt_bench, mt_bench_ja, perplexity_wikitext2, "
        "perplexity_ja_wiki; or your own .yaml or .py files (conf/docs/benchmarks.md)",
    )
    group.add_argument("--runs", type=int, metavar="N", help="runs of a sampled benchmark, one seed each (default 5)")
    group.add_argument("--seed", type=int, metavar="N", help="first seed (default 0)")
    group.add_argument(
        "--temperature", type=float, metavar="T", help="sampling temperature; 0 is greedy, with one run (default 0.7)"
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer in tokens (default 512)")
    group.add_argument(
        "--limit", type=int, metavar="N", help="first N items in each benchmark's fixed random order (default: all)"
    )
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder of data sets, one folder per benchmark (default: from the hub)"
    )
    _add_comparison(group)


def _add_comparison(group: argparse._ActionsContainer) -> None:
    """Add the options that set how arms are compared and scored."""
    group.add_argument(
        "--reference",
        metavar="ARM",
        help="arm that the others are compared with (default: the first of f32, bf16 and f16 that is planned)",
    )
    group.add_argument(
        "--aa",
        action="store_const",
        const=True,
        help="measure the noise floor: evaluate the reference again in another batch layout, as arm f16~aa, on "
        "benchmarks without sampling",
    )
    group.add_argument(
        "--early-stop",
        action="store_const",
        const=True,
        help="if answers are right or wrong, end a benchmark for an arm once the verdict is certain; this makes "
        "intervals wider",
    )
    add_judging(group)


def add_judging(group: argparse._ActionsContainer) -> None:
    """Add the options that say who judges the answers of judged benchmarks."""
    group.add_argument(
        "--judge-url",
        action="append",
        metavar="URL",
        help="OpenAI-compatible server of the judge of elyza and mt_bench, such as http://HOST:PORT/v1; its key comes "
        "from JUDGE_API_KEY; repeat the option for a jury",
    )
    group.add_argument(
        "--judge-model",
        action="append",
        metavar="[NAME=]MODEL",
        help="the judge's model on that server (default: the only one it has), or a GGUF that is decoded here: a "
        "file, or hf:owner/name[@REVISION]/file.gguf; repeat the option for a jury",
    )
    group.add_argument(
        "--human-scores",
        metavar="FILE",
        help="human scores of some judged answers (.csv or .jsonl), which correct the means of the judge "
        "(conf/docs/judging.md)",
    )


def add_quantization(parser: argparse.ArgumentParser) -> None:
    """Add the options of phases 1 and 2."""
    group = parser.add_argument_group("importance matrix and quantization")
    group.add_argument(
        "--quantizations",
        metavar="A,B,...",
        help="llama.cpp types and recipes, such as iq4_xs, q4_k_l, q4_k_m-fp16 or your own (default bf16,q8_0,q4_k_m)",
    )
    group.add_argument(
        "--imatrix",
        metavar="MIX_OR_FILE[,...]|none",
        help="a calibration mix (a name such as en-ja4, or a .yaml file), an imatrix file (.gguf, .dat), or none "
        "(default: the texts of --calibration); each further one makes every lossy quantization again",
    )
    group.add_argument(
        "--calibration",
        action="append",
        metavar="FILE_OR_MIX",
        help="calibration text (repeat the option for more texts, in equal shares), or a mix: its name, or a .yaml "
        "file with texts and shares",
    )
    group.add_argument(
        "--allow-overlap",
        action="store_const",
        const=True,
        help="continue with a notice if calibration text and benchmarks share passages (default: refuse)",
    )
    size_help = "calibration tokens per mix, multiplied by the `size` of the mix (default 65536)"
    group.add_argument("--dataset-size", type=int, metavar="TOKENS", help=size_help)
    add_protection(group)


def add_protection(group: argparse._ActionsContainer) -> None:
    """Add the options that set how many bytes the tensors that need them get."""
    levels = ", ".join(f"{name} +{bits:g}" for name, bits in PROTECTION_BPW.items())
    group.add_argument(
        "--protection-level",
        choices=get_args(ProtectionLevel),
        help=f"add bits per weight to each lossy quantization where they reduce its error most ({levels}; default "
        "none); for each such arm, a control arm of equal size is also made",
    )
    group.add_argument("--no-controls", action="store_const", const=False, help="make no control arms")
    group.add_argument(
        "--target-bpw",
        type=float,
        metavar="BITS",
        help="in place of a level: bits per weight in total; the types that lose least at that size are chosen",
    )
    group.add_argument("--target-size", metavar="SIZE", help="the same, as a file size: 4.2GiB, 900MiB, 4.5GB")


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Add the options that every job with a plan has."""
    group = parser.add_argument_group("execution")
    group.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads per worker (default 2); records depend on it"
    )
    group.add_argument("--max-workers", type=int, metavar="N", help="most workers at once (default: what fits)")
    group.add_argument(
        "--no-mlflow-wait",
        action="store_true",
        help="start even if MLflow does not answer; it is brought up to date as soon as it does, else by the same "
        "command later",
    )
    group.add_argument(
        "--lang", choices=get_args(Language), help="language of charts and documents (default both: one file each)"
    )
    group.add_argument(
        "--config", metavar="FILE.yaml", help="configuration file (default conf/default.yaml); flags override it"
    )


def flag_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the values from the command line, nested like `PipelineConfig`, without options that were not given.

    Raises:
        BadInput: the options that name the judges do not fit together.
    """
    values: dict[str, Any] = {}
    for key, flag in FLAGS.items():
        option = flag.removeprefix("--").replace("-", "_")
        value = _judges(arguments) if key == "judging.judges" else getattr(arguments, option, None)
        if value is not None:
            *sections, name = key.split(".")
            node = values
            for section in sections:
                node = node.setdefault(section, {})
            node[name] = _converted(option, value)
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


def _judges(arguments: argparse.Namespace) -> list[dict[str, str]] | None:
    """Return the judges that the flags name; None if they name none."""
    urls, models = getattr(arguments, "judge_url", None), getattr(arguments, "judge_model", None)
    return None if urls is None and models is None else judges_of(urls or [], models or [])


def in_words_of(
    parser: argparse.ArgumentParser, fault: Fault, renamed: Mapping[str, str] = MappingProxyType({})
) -> Fault:
    """Return the same fault without flags that the job does not have: its own in their place, or configuration keys.

    `renamed` maps flags of the main job to this job's own, if they have other names.
    """
    own = {flag for action in parser._actions for flag in action.option_strings}
    instead = {**{flag: key for key, flag in FLAGS.items()}, **renamed}

    def reworded(text: str) -> str:
        return _FLAG.sub(lambda found: found[0] if found[0] in own else instead.get(found[0], found[0]), text)

    return replace(fault, key=reworded(fault.key), allowed=reworded(fault.allowed), next_step=reworded(fault.next_step))


def fail(error: BadInput, parser: argparse.ArgumentParser, renamed: Mapping[str, str] = MappingProxyType({})) -> int:
    """Print bad input without a traceback, in the words of the job, and return the exit code."""
    complain(f"{parser.prog}: bad input, nothing was started")
    faults = [in_words_of(parser, fault, renamed) for fault in error.faults]
    lines = list(dict.fromkeys(map(str, faults)))  # jobs.evaluate finds a fault in its first file twice
    for line in lines[:MOST_FAULTS]:
        complain(f"  - {hanging(line)}")
    if len(lines) > MOST_FAULTS:
        complain(f"  ... and {len(lines) - MOST_FAULTS} more")
    return EXIT_BAD_INPUT
