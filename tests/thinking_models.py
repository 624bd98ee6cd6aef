"""Tiny models that think: a chat template of each family, and a model that says prepared words.

The templates are in the fewest words that still switch, open and drop thoughts as the templates of that family do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from tests.tiny_model import TinyShape, add_metadata

QWEN_3 = """{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set said = message.content %}
        {%- if '</think>' in said %}{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}
        {{- '<|im_start|>assistant\\n' + said + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""
"""Thinks unless it is switched off: then the template closes the thoughts."""

DEEPSEEK_R1 = """{{- bos_token }}{% for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set parts = message.content.split('</think>') %}{{- '<|Assistant|>' + parts[-1] + eos_token }}
    {%- else %}{{- '<|User|>' + message.content }}{% endif %}
{%- endfor %}{% if add_generation_prompt %}{{- '<|Assistant|><think>\\n' }}{% endif %}"""
"""Always thinks: the template opens the thoughts."""

DEEPSEEK_V3 = """{%- if not thinking is defined %}{% set thinking = false %}{% endif %}
{{- bos_token }}{% for message in messages %}{{- '<|' + message.role + '|>' + message.content }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{{- '<think>' if thinking else '</think>' }}{% endif %}"""
"""Thinks only if it is switched on: else the template closes thoughts that it never opened."""

GPT_OSS = """{{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '\\n' }}
{{- '# Valid channels: analysis, commentary, final.<|end|>' }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- if message.thinking %}
            {{- '<|start|>assistant<|channel|>analysis<|message|>' + message.thinking + '<|end|>' }}
        {%- endif %}
        {{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
    {%- else %}{{- '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{% endif %}"""
"""Always thinks, in a channel of its own."""

LLM_JP_4 = """{%- set effort = reasoning_effort if reasoning_effort is defined else 'medium' %}
{{- bos_token }}{{- '<|start|>system<|message|>推論の深さ: ' + effort + '<|end|>' }}
{%- for message in messages %}
    {%- set channel = '<|channel|>final' if message.role == 'assistant' else '' %}
    {{- '<|start|>' + message.role + channel + '<|message|>' + message.content + '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant<|channel|>analysis<|message|>' }}{% endif %}"""
"""The same, and the template opens the channel of the thoughts."""

MAGISTRAL = """{{- bos_token }}
{%- if messages[0].role != 'system' %}
    {{- '[SYSTEM_PROMPT]Think first: [THINK]thoughts[/THINK], then answer.[/SYSTEM_PROMPT]' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{- '[INST]' + message.content + '[/INST]' }}
    {%- elif message.role == 'system' %}{{- '[SYSTEM_PROMPT]' + message.content + '[/SYSTEM_PROMPT]' }}
    {%- else %}{{- message.content + eos_token }}{% endif %}
{%- endfor %}"""
"""Thinks because its system prompt says so."""

SEED = """{%- for message in messages %}
    {{- bos_token + message.role + '\\n' + message.content + eos_token }}
{%- endfor %}
{%- if thinking_budget is defined and thinking_budget == 0 %}
    {{- bos_token + 'system\\n' + '<seed:think>No thoughts.</seed:think>' + eos_token }}
{%- endif %}
{%- if add_generation_prompt %}{{- bos_token + 'assistant\\n' }}{% endif %}"""
"""Is switched by a budget."""

REFLECTING = """{%- for message in messages %}
    {%- set said = message.content.split('</reflection>')[-1] %}
    {%- if message.reasoning_content %}{% set said = '<reflection>' + message.reasoning_content + said %}{% endif %}
    {{- '<|im_start|>' + message.role + '\\n' + said + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""
"""Of no known family: it declares a tag of its own."""

MARKS = (
    *("<think>", "</think>", "[THINK]", "[/THINK]", "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"),
    *("<|call|>", "<|User|>", "<|Assistant|>", "<seed:think>", "</seed:think>", "<reflection>", "</reflection>"),
)
"""Control tokens of the vocabulary."""
_FIRST = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
_EOT = 4
_LETTERS = "▁\n" + "".join(chr(code) for code in range(0x21, 0x7F)) + "のにはをがとでたし。、"


@dataclass(frozen=True)
class Chain:
    """What the model says: each token decides the next one, so each may stand only once."""

    words: Sequence[str]
    """Tokens of the vocabulary, or words that become tokens."""
    after: str = "\n"
    """The last token of the prompt."""


def write_thinking_model(
    path: Path, template: str | None, chain: Chain | None = None, *, n_ctx: int = 2048, seed: int = 0
) -> Path:
    """Write a model whose answer is a chain of words and the end of its turn. Without a chain it says one word."""
    chain = chain or Chain(("yes",))
    words = [word for word in chain.words if word not in (*_FIRST, *MARKS)]
    tokens = [*_FIRST, *MARKS, *(f"<0x{byte:02X}>" for byte in range(256)), *_LETTERS, *(f"▁{word}" for word in words)]
    shape = TinyShape(n_layers=1, n_ctx=n_ctx)
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, shape, "Thinker", "f16")
    _add_vocabulary(writer, tokens, template)
    said = [tokens.index(word if word in (*_FIRST, *MARKS) else f"▁{word}") for word in chain.words]
    links = [tokens.index(chain.after), *said, _EOT]
    for name, values in _weights(shape, len(tokens), links, np.random.default_rng(seed)).items():
        writer.add_tensor(name, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, tokens: list[str], template: str | None) -> None:
    kinds = gguf.TokenType
    n_control = len(_FIRST) + len(MARKS)
    types = [kinds.UNKNOWN, *[kinds.CONTROL] * (n_control - 1), *[kinds.BYTE] * 256]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([float(-index) for index in range(len(tokens))])
    writer.add_token_types([*types, *[kinds.NORMAL] * (len(tokens) - len(types))])
    writer.add_vocab_size(len(tokens))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(_EOT)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    if template is not None:
        writer.add_chat_template(template)


def _weights(shape: TinyShape, n_vocab: int, links: Sequence[int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return weights of a model that looks at the last token only."""
    embd, kv = shape.n_embd, shape.n_embd * shape.n_kv_heads // shape.n_heads
    embedding = rng.standard_normal((n_vocab, embd)).astype(np.float32)
    output = np.zeros((n_vocab, embd), np.float32)
    for one, following in itertools.pairwise(links):
        output[following] += 4 * embedding[one] / np.linalg.norm(embedding[one])
    zeros = {"attn_q": (embd, embd), "attn_k": (kv, embd), "attn_v": (kv, embd), "attn_output": (embd, embd)}
    zeros |= {"ffn_gate": (shape.n_ff, embd), "ffn_up": (shape.n_ff, embd), "ffn_down": (embd, shape.n_ff)}
    ones = np.ones(embd, np.float32)
    weights = {"token_embd.weight": embedding, "output_norm.weight": ones, "output.weight": output}
    weights |= {"blk.0.attn_norm.weight": ones, "blk.0.ffn_norm.weight": ones}
    return weights | {f"blk.0.{name}.weight": np.zeros(size, np.float32) for name, size in zeros.items()}
