"""Families of models by name and architecture."""

from __future__ import annotations

import pytest

from actors.judging.families import family_of


@pytest.mark.parametrize(
    ("name", "architecture", "family"),
    [
        ("Qwen/Qwen3-8B", None, "qwen"),
        ("qwen2.5-7b-instruct-q4_k_m.gguf", "qwen2", "qwen"),
        ("QwQ-32B", None, "qwen"),
        ("meta-llama/Llama-3.3-70B-Instruct", None, "llama"),
        ("meta-llama/my-model", "llama", None),
        ("gpt-5-mini", None, "gpt"),
        ("openai/gpt-oss-20b", "gpt-oss", "gpt"),
        ("o3", None, "gpt"),
        ("claude-sonnet-4-5", None, "claude"),
        ("google/gemma-3-12b-it", "gemma3", "gemma"),
        ("gemini-2.5-pro", None, "gemma"),
        ("mistral-small", None, "mistral"),
        ("Mixtral-8x7B", "llama", "mistral"),
        ("DeepSeek-R1-Distill-Qwen-7B", "qwen2", "deepseek"),
        ("llm-jp/llm-jp-3-13b-instruct", "llama", "llm-jp"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "llama", "smollm"),
        ("phi-4", "phi3", "phi"),
        ("dolphin-phillips", None, None),
        ("checkpoint-1200", "qwen3moe", "qwen"),
        ("checkpoint-1200", "llama", None),
        ("", None, None),
    ],
)
def test_family(name: str, architecture: str | None, family: str | None) -> None:
    assert family_of(name, architecture) == family
