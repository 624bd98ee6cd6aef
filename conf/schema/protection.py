"""More precision where it reduces the error of a quantization most, and the weights of tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from conf.schema.base import Frozen

ProtectionLevel = Literal["none", "low", "medium", "high", "max"]


TokenWeight = Annotated[float, Field(ge=1.0, le=1000.0, allow_inf_nan=False)]
"""At least 1: only the ratios between weights matter, and llama.cpp rounds sums of weights to whole numbers when it
reads them, so a sum below 1/2 would mean "never used". At most 1000: the sums are 32-bit floats."""


class TokenWeights(Frozen):
    """Weight of a token in a weighted importance matrix, by its class (see `actors.token_classes`).

    Measured on SmolLM2-135M (32k tokens, half WikiText, half school mathematics), for q2_k and q4_0 alike:

    - weight 4: the rounding error at tokens of mathematics and science falls by 1.4%, at all other tokens it rises by
      0.8%
    - weight 16: 2.1% and 2.0%
    - a matrix of such tokens alone, the most that weights can do: 2.3% and 3.3%

    So 4 gives most of the gain at the least cost. KL divergence from f16 at such tokens of held-out mathematics (± 95%
    over chunks): q4_0 0.1207 without weights, and a change of -0.0031 ± 0.0016 with 4 (8 chunks); but q2_k 0.1597, and
    a change of +0.0068 ± 0.0058 (12 chunks). The effect is so small that its sign depends on the type.
    """

    mathematics: TokenWeight = 4.0
    """Weight of numerals, operators, LaTeX, Greek letters and mathematical terms."""
    science: TokenWeight = 4.0
    """Weight of units and scientific terms."""
    other: TokenWeight = 1.0
    """Weight of all other tokens."""


PROTECTION_BPW: Mapping[str, float] = {"low": 0.1, "medium": 0.25, "high": 0.5, "max": 1.0}
"""Bits per weight that each level adds to those of the method. 1 is about the distance between neighbouring types (q4_k
4.5, q5_k 5.5, q6_k 6.6): instead of more, use the next method. 0.25 is about the difference between llama.cpp's own _M
and _S mixes. 0.1 is enough for a few tensors."""


class Protection(Frozen):
    """More precision for the tensors where it reduces the error most, and weights for tokens that must not lose any."""

    level: ProtectionLevel = "none"
    """How many bits per weight are added to each lossy quantization, and spent where they reduce its error most. With
    the default `none`, q4_k_m is what everybody means by q4_k_m."""
    controls: bool = True
    """True: make a control arm of equal size for each protected arm; its bytes are spent without any measurement."""
    target_bpw: Annotated[float, Field(gt=0, le=32)] | None = None
    """Bits per weight in total, in place of a level: the best types that fit, which may be smaller than the method's
    own."""
    target_size: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """The same as a file size in bytes, or as a text with a unit: `4.2GiB`."""
    token_weights: TokenWeights = TokenWeights()
    """Token weights in the importance matrix of protected arms, which is also used to share out their bytes."""

    @field_validator("target_size", mode="before")
    @classmethod
    def _read_size(cls, value: Any) -> Any:
        return size_bytes(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [self.level != "none", self.target_bpw is not None, self.target_size is not None]
        if sum(given) > 1:
            raise ValueError("only one of level, target_bpw and target_size, because they exclude each other")
        return self


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.IGNORECASE)


def size_bytes(text: str) -> int:
    """Return the bytes of a size with a unit: `4.2GiB` -> 4509715660. Raises `ValueError` if it is not a size."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("a size has a unit: 4.2GiB, 900MiB, 4.5GB, 900MB")
    prefix = found[2].lower().rstrip("b")
    base = 1024 if prefix.endswith("i") else 1000
    size = float(found[1]) * base ** " kmgt".index(prefix.rstrip("i") or " ")
    if size >= 2**63:
        raise ValueError("a size below 8 million TiB")
    return int(size)
