"""Recipes of quantizations, and the calibration texts of their importance matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from conf.schema.base import LONGEST_NAME, MIX_NAME, MOST_TEXTS, Count, Frozen
from conf.schema.protection import ProtectionLevel


class OutputTypes(Frozen):
    """Types for the two tensors that publishers often treat apart; None leaves a tensor to the method."""

    output: str | None = None
    """ggml type of `output.weight`. If the model has no such tensor, the token embedding serves as both: then this is
    its type, unless `embedding` or a regular expression names it."""
    embedding: str | None = None
    """ggml type of the token embedding."""


class RecipeSettings(OutputTypes):
    """A custom recipe: a llama.cpp type, and the tensors that get another type."""

    method: str
    """llama.cpp type, such as `q4_k_m`. All tensors that are not named below get their types by its rules."""
    bits: Count | None = None
    """Bits per weight, only as a check of `method`: it changes nothing, but a contradiction is refused."""
    tensors: Mapping[str, str] = {}
    """ggml type by regular expression, which is searched for in a tensor's name; the first match counts. `output` and
    `embedding` win over it. Tensors that llama.cpp never quantizes, such as norms, stay as they are."""
    protection: ProtectionLevel = "none"
    """Protection level of this recipe; `none`: use the level of the pipeline."""


class PublishedRecipes(Frozen):
    """Recipes that come with the project (`conf/quantizations.yaml`)."""

    recipes: Mapping[str, RecipeSettings]
    suffixes: Mapping[str, OutputTypes]
    """Types by the suffix that is added to the name of any quantized type."""


class Calibration(Frozen):
    """The texts that the importance matrix is collected from, and how many tokens of them."""

    mix: Annotated[str, Field(pattern=rf"^{MIX_NAME}$", max_length=LONGEST_NAME)] = "default"
    """Name of the mix that `texts` make. It is in file names, and in arm names if it is not the default."""
    texts: Annotated[tuple[str, ...], Field(max_length=MOST_TEXTS)] = ()
    """Plain-text files, read in this order with equal shares. Empty: `<data-dir>/calibration/*.txt`. An entry may also
    be a mix (a .yaml file, or a name from `conf/calibration`), which keeps its own name. If the only entry is a mix,
    it is the default mix."""
    dataset_size: Annotated[int, Field(ge=512, lt=2**31)] = 65_536
    """Tokens in total of each mix whose file gives no `size`, so that mixes differ in language and not in amount. The
    default is 128 chunks of 512; more gains little (llama.cpp discussion 5006)."""
    ctx: Annotated[int, Field(ge=32, lt=2**31)] = 512
    """Tokens per chunk; the default is that of `llama-imatrix`."""
    allow_overlap: bool = False
    """False: refuse calibration texts that share sequences of words with the benchmarks. True: only give a notice."""
