"""Calibration mixes: which texts an importance matrix is collected from, in which shares; a YAML file each.

The project's own lie in `conf/calibration/`. Reading the texts is `conf.texts`', cutting them the quantization role's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from conf.faults import BadInput, Fault, near_names
from conf.hub_ids import DEFAULT_REVISION
from conf.load import PACKAGE_SCHEME, fault_of, read_yaml, resolve_path
from conf.schema import MIX_NAME, Frozen

FOLDER = Path(__file__).parent / "calibration"
SUFFIX = ".yaml"


class MixText(Frozen):
    """One text of a mix: a file, or a column of a data set of the Hugging Face hub."""

    path: str | None = None
    """A UTF-8 text; `PATH#1/2` is its first half. A relative one lies beside the mix file or, where it is not there,
    in `<data-dir>/calibration`."""
    share: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    """Its part of the tokens, in proportion to the other texts' shares."""
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] | None = None
    """`owner/name`, in place of a path. What follows is said of data sets only."""
    revision: str = DEFAULT_REVISION
    """Branch, tag or commit; a commit is the same text tomorrow. Matrices record the commit in any case."""
    folder: str | None = None
    """Folder in the repository, where it holds several configurations with the same split."""
    split: str = "train"
    """Which files: those that have it in their name, or lie in a folder of that name."""
    column: str = "text"
    """Column of strings."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """The first rows, joined by empty lines; rows without words count and give nothing. None: all."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("either a `path` or a `dataset`")
        only_of_datasets = self.model_fields_set - {"path", "share"}
        if self.path is not None and only_of_datasets:
            raise ValueError(f"no {', '.join(sorted(only_of_datasets))} beside a `path`")
        return self


@dataclass(frozen=True)
class DatasetRows:
    """A column of a data set, its first rows; as in `MixText`."""

    dataset: str
    revision: str = DEFAULT_REVISION
    folder: str | None = None
    split: str = "train"
    column: str = "text"
    rows: int | None = None


class MixFile(Frozen):
    """A mix as its file holds it."""

    texts: Annotated[tuple[MixText, ...], Field(min_length=1)]
    size: Annotated[float, Field(gt=0.0, le=1000.0, allow_inf_nan=False)] = 1.0
    """How many times `calibration.dataset_size` it takes. 1: mixes differ in their texts and not in amount. Where the
    amount itself is in question, or a text is added to another, mixes of several sizes stand side by side."""
    chunk_shuffle_seed: Annotated[int, Field(ge=0)] | None = None
    """None: the first chunks of each text, text after text, as llama-imatrix takes them. A number: chunks are drawn
    from all over each text, and shuffled."""
    parse_special: bool = False
    """True: `<|...|>` in the texts is read as a special token. False, as in llama-imatrix: it is plain text."""
    chat_template: bool = False
    """True: paragraphs become turns of user and assistant, through the model's chat template, whose special tokens
    are read as such (`actors.quantization.chat_turns` has the rule). False: the texts are taken as they are."""


@dataclass(frozen=True)
class Mix:
    """A mix that was read."""

    name: str
    """The file's stem."""
    texts: tuple[tuple[str | DatasetRows, float], ...]
    """Absolute path, with its part, or rows of a data set; and share. The shares add up to 1."""
    size: float = 1.0
    """Of `calibration.dataset_size`."""
    chunk_shuffle_seed: int | None = None
    parse_special: bool = False
    chat_template: bool = False


def shipped_mixes() -> list[str]:
    """Names of the project's own mixes."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def is_mix(spec: str) -> bool:
    """True for a path that ends in .yaml, and for the name of one of the project's own mixes."""
    return spec.endswith(SUFFIX) or spec in shipped_mixes()


def read_mix(spec: str, *, data_dir: Path | None, key: str) -> Mix:
    """Read a mix by its name, or by the path of its file.

    Args:
        spec: `en-ja4`, say, or a path that ends in .yaml.
        data_dir: its folder `calibration` is where relative paths are looked for that are not beside the mix file.
        key: the flag that fault messages name.

    Raises:
        BadInput: an unknown mix, an unreadable or wrong file, or a text that is in neither place.
    """
    path = Path(spec) if spec.endswith(SUFFIX) else FOLDER / f"{spec}{SUFFIX}"
    if not spec.endswith(SUFFIX) and spec not in shipped_mixes():
        known = shipped_mixes()
        raise BadInput(Fault(key, spec, f"a mix ({', '.join(known)}) or a .yaml file", near_names(spec, known)))
    if not re.fullmatch(MIX_NAME, path.stem):
        allowed = f"a file name of {MIX_NAME}, before .yaml: it names the mix"
        raise BadInput(Fault(key, spec, allowed, "Rename the file."))
    try:
        mix = MixFile.model_validate(read_yaml(path, key=key))
    except ValidationError as error:
        raise BadInput(
            [fault_of(details, MixFile, f"{path}: ") for details in error.errors(include_url=False)]
        ) from None
    total = sum(text.share for text in mix.texts)
    texts = tuple((_source(text, path, data_dir, key), text.share / total) for text in mix.texts)
    return Mix(path.stem, texts, mix.size, mix.chunk_shuffle_seed, mix.parse_special, mix.chat_template)


def _source(text: MixText, mix_path: Path, data_dir: Path | None, key: str) -> str | DatasetRows:
    if text.dataset is not None:
        return DatasetRows(text.dataset, text.revision, text.folder, text.split, text.column, text.rows)
    return _find(str(text.path), mix_path, data_dir, key)


def _find(text: str, mix_path: Path, data_dir: Path | None, key: str) -> str:
    if text.startswith(PACKAGE_SCHEME) or Path(text).is_absolute():
        return resolve_path(text)
    folders = [mix_path.parent, *([data_dir / "calibration"] if data_dir else [])]
    for folder in folders:
        # The name as it stands first, then without its part: `conf.texts` reads them in the same order.
        if (folder / text).is_file() or (folder / text.partition("#")[0]).is_file():
            return resolve_path(str(folder / text))
    where = "beside the mix file" + (f", or in {folders[-1]}" if data_dir else "")
    step = "Put it there, or name it by its whole path." if data_dir else "Give the --data-dir that has it."
    raise BadInput(Fault(key, f"{mix_path.name}: {text}", f"a text that lies {where}", step))
