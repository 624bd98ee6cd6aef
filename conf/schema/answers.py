"""How a model is asked: its chat template, its thoughts, and how tokens are sampled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator

from conf.schema.base import Count, Frozen

TEMPLATE_VARIABLES = frozenset(
    {"messages", "bos_token", "eos_token", "unk_token", "pad_token", "add_generation_prompt", "tools", "documents"}
)
"""What every chat template gets."""
Thinking = Literal["on", "off", "template"]
"""Whether a model thinks before it answers. `template`: as its chat template has it."""


class Chat(Frozen):
    """Chat settings of one model or arm, for benchmarks that use its chat template. They can change scores a lot."""

    system: str | None = None
    """System prompt, put before the messages of a benchmark that has no system prompt of its own. Only for a model:
    arms are compared on the same messages."""
    template: Path | None = None
    """File with a chat template (jinja2), used in place of the one in the GGUF."""
    thinking: Thinking = "template"
    """`on` or `off` sets the variables by which the chat template switches thinking, such as `enable_thinking`."""
    template_arguments: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", max_length=64)], JsonValue] = {}
    """Further variables for the chat template, such as `reasoning_effort: high`."""
    thinking_tokens: Count | None = None
    """Longest thoughts of an answer, in tokens. The limit of the answer itself (`sampling.max_tokens`) counts behind
    them. None: 4096 if the model may think, at most half of its context."""

    @field_validator("thinking", mode="before")
    @classmethod
    def _read_switch(cls, value: Any) -> Any:
        """Take YAML's `on` and `off`, which are truth values."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("template_arguments")
    @classmethod
    def _free_names(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if value.keys() & TEMPLATE_VARIABLES:
            raise ValueError(f"names other than {', '.join(sorted(TEMPLATE_VARIABLES))}, which every template gets")
        return value

    def over(self, other: Chat) -> Chat:
        """Return these settings, with those of `other` where these say nothing. No thoughts need no budget."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return other.model_copy(update={**({"thinking_tokens": None} if self.thinking == "off" else {}), **own})


class Sampling(Frozen):
    """How tokens of an answer are sampled."""

    temperature: Annotated[float, Field(ge=0.0, le=5.0)] = 0.7
    """0 is greedy: then each arm has one cell per benchmark, whatever `runs` is."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    top_k: Annotated[int, Field(ge=0, lt=2**31)] = 40
    """Number of most likely tokens to sample from; 0 switches it off."""
    min_p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    max_tokens: Count = 512
    """Longest answer, in tokens. A benchmark may set a lower limit."""
