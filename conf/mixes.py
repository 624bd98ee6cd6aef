"""Calibration mixes: the texts that an importance matrix is collected from, and their shares. Each mix is a YAML file.

The project's own mixes are in `conf/calibration/`. `conf.texts` reads the texts; the quantization role cuts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from conf.faults import BadInput, Fault, near_names
from conf.hub_ids import DEFAULT_REVISION
from conf.load import PACKAGE_SCHEME, faults_of, resolve_path
from conf.schema.base import LONGEST_NAME, MIX_NAME, MOST_TEXTS, Count, Frozen
from conf.yaml_files import read_yaml

FOLDER = Path(__file__).parent / "calibration"
SUFFIX = ".yaml"


class MixText(Frozen):
    """One text of a mix: a file, or a column of a data set of the Hugging Face hub."""

    path: str | None = None
    """A UTF-8 text; `PATH#1/2` is its first half. A relative path is looked for beside the mix file first, then in
    `<data-dir>/calibration`."""
    share: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    """Share of the tokens, in proportion to the shares of the other texts."""
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] | None = None
    """`owner/name`, in place of a path. The fields below are for data sets only."""
    revision: str = DEFAULT_REVISION
    """Branch, tag or commit. Only a commit never changes; an imatrix records the commit in any case."""
    folder: str | None = None
    """Folder in the repository; needed if the repository has several configurations with the same split."""
    split: str = "train"
    """Which files to read: those with this word in their name, or in a folder of this name."""
    column: str = "text"
    """Name of a column of strings."""
    rows: Count | None = None
    """How many rows to take from the start, joined by empty lines; rows without words are counted. None: all rows."""

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
    """The first rows of a column of a data set; the fields are those of `MixText`."""

    dataset: str
    revision: str = DEFAULT_REVISION
    folder: str | None = None
    split: str = "train"
    column: str = "text"
    rows: int | None = None


class MixFile(Frozen):
    """The content of a mix file."""

    texts: Annotated[tuple[MixText, ...], Field(min_length=1, max_length=MOST_TEXTS)]
    size: Annotated[float, Field(gt=0.0, le=1000.0, allow_inf_nan=False)] = 1.0
    """Tokens to take, as a multiple of `calibration.dataset_size`. With 1, mixes differ in their texts and not in their
    amount. Use other sizes to study the amount itself, or to add one text to another."""
    chunk_shuffle_seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """None: take the first chunks of each text, text after text, like llama-imatrix. A number: draw chunks from all
    over each text with this seed, and shuffle them."""
    parse_special: bool = False
    """True: read `<|...|>` in the texts as a special token. False, like llama-imatrix: read it as plain text."""
    chat_template: bool = False
    """True: put paragraphs through the model's chat template as turns of user and assistant; the template's special
    tokens are read as special tokens (`actors.quantization.chat_turns` has the rule). False: use the texts as they
    are."""


@dataclass(frozen=True)
class Mix:
    """A mix, read from its file, with its texts found."""

    name: str
    """The file's stem."""
    texts: tuple[tuple[str | DatasetRows, float], ...]
    """Each text with its share: an absolute path (with its part) or rows of a data set. The shares add up to 1."""
    size: float = 1.0
    """Tokens to take, as a multiple of `calibration.dataset_size`."""
    chunk_shuffle_seed: int | None = None
    parse_special: bool = False
    chat_template: bool = False


def shipped_mixes() -> list[str]:
    """Return the names of the project's own mixes."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def is_mix(spec: str) -> bool:
    """Return True for a path that ends in .yaml and for the name of one of the project's own mixes."""
    return spec.endswith(SUFFIX) or spec in shipped_mixes()


def read_mix(spec: str, *, data_dir: Path | None, key: str) -> Mix:
    """Read a mix by its name, or by the path of its file.

    Args:
        spec: a name such as `en-ja4`, or a path that ends in .yaml.
        data_dir: relative paths that are not beside the mix file are looked for in its folder `calibration`.
        key: the flag that fault messages name.

    Raises:
        BadInput: the mix is unknown, its file cannot be read or is wrong, or a text is in neither place.
    """
    path = Path(spec) if spec.endswith(SUFFIX) else FOLDER / f"{spec}{SUFFIX}"
    if not spec.endswith(SUFFIX) and spec not in shipped_mixes():
        known = shipped_mixes()
        raise BadInput(Fault(key, spec, f"a mix ({', '.join(known)}) or a .yaml file", near_names(spec, known)))
    if not re.fullmatch(MIX_NAME, path.stem) or len(path.stem) > LONGEST_NAME:
        allowed = f"a file name that matches {MIX_NAME} before .yaml, up to {LONGEST_NAME} letters: the mix's name"
        raise BadInput(Fault(key, spec, allowed, "Rename the file."))
    try:
        mix = MixFile.model_validate(read_yaml(path, key=key))
    except ValidationError as error:
        raise BadInput(faults_of(error, MixFile, f"{path}: ")) from None
    total = sum(text.share for text in mix.texts)
    texts = tuple((_source(text, path, data_dir, key), text.share / total) for text in mix.texts)
    return Mix(path.stem, texts, mix.size, mix.chunk_shuffle_seed, mix.parse_special, mix.chat_template)


def _source(text: MixText, mix_path: Path, data_dir: Path | None, key: str) -> str | DatasetRows:
    if text.dataset is not None:
        return DatasetRows(text.dataset, text.revision, text.folder, text.split, text.column, text.rows)
    return _find(str(text.path), mix_path, data_dir, key)


def _find(text: str, mix_path: Path, data_dir: Path | None, key: str) -> str:
    if text.startswith(PACKAGE_SCHEME) or Path(text).is_absolute():
        return resolve_path(text, key=key)
    folders = [mix_path.parent, *([data_dir / "calibration"] if data_dir else [])]
    for folder in folders:
        # First the whole name, then without its part: the order in which `conf.texts` tries them.
        if (folder / text).is_file() or (folder / text.partition("#")[0]).is_file():
            return resolve_path(str(folder / text), key=key)
    where = "beside the mix file" + (f", or in {folders[-1]}" if data_dir else "")
    step = "Put it there, or give its full path." if data_dir else "Give the --data-dir that has it."
    raise BadInput(Fault(key, f"{mix_path.name}: {text}", f"a text that is {where}", step))
