"""Tell the family of a model by its name: a judge may prefer the answers of its own family.

It is a hint for a notice and no more. A fine-tuned model whose name and architecture do not tell its base has none.
"""

from __future__ import annotations

import re

_NAMES: dict[str, tuple[str, ...]] = {
    "claude": ("claude",),
    "command": ("command", "cohere", "aya"),
    "deepseek": ("deepseek",),
    "exaone": ("exaone",),
    "falcon": ("falcon",),
    "gemma": ("gemma", "gemini"),
    "glm": ("glm", "chatglm"),
    "gpt": ("gpt", "chatgpt", "o1", "o3", "o4"),
    "granite": ("granite",),
    "grok": ("grok",),
    "internlm": ("internlm",),
    "kimi": ("kimi", "moonshot"),
    "llama": ("llama", "tinyllama", "codellama"),
    "llm-jp": ("llm-jp",),
    "mistral": ("mistral", "mixtral", "ministral", "magistral", "codestral", "devstral"),
    "nemotron": ("nemotron",),
    "olmo": ("olmo",),
    "phi": ("phi",),
    "plamo": ("plamo",),
    "qwen": ("qwen", "qwq", "qvq"),
    "sarashina": ("sarashina",),
    "smollm": ("smollm",),
}
"""The words that name a family. Models of Google's and OpenAI's services count to the families of their open models."""
_FAMILY_OF_WORD = {word: family for family, words in _NAMES.items() for word in words}
_WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(_FAMILY_OF_WORD, key=len, reverse=True))})(?![a-z])")
_SHARED_ARCHITECTURES = {"llama", "gpt2", "gptneox", "gptj"}
"""Architectures of models of many families: the weights of most makers are converted to that of Llama."""


def family_of(name: str, architecture: str | None) -> str | None:
    """Return the family of a model, or None if nothing tells it.

    The first family that the name mentions counts: `DeepSeek-R1-Distill-Qwen-7B` learned from DeepSeek's answers.

    Args:
        name: the model's name on a server, in a hub or in its file. Only its last part is read, without folders.
        architecture: `general.architecture` of a GGUF. None: unknown, as for an endpoint.
    """
    found = _WORD.search(re.split(r"[/\\]", name)[-1].casefold())
    if found is None and architecture is not None and architecture not in _SHARED_ARCHITECTURES:
        found = _WORD.search(architecture.casefold())
    return None if found is None else _FAMILY_OF_WORD[found[0]]
