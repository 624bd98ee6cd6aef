"""Which models allow forks: one sequence is decoded, and others continue from its state.

llama.cpp can copy whole sequences (`llama_memory_seq_cp`) in plain KV caches, sliding window caches, recurrent states
and hybrid states. The tests decode such models. This module lists the exceptions by `general.architecture`.
"""

from __future__ import annotations

_CANNOT_FORK = frozenset({"deepseek4"})
"""deepseek4 keeps one compressed state per sequence. A unified cache has room for only one state, and copying it to
another sequence aborts the process (src/llama-kv-cache-dsv4.cpp, `llama_dsv4_comp_state::seq_cp`)."""


def can_fork(architecture: str) -> bool:
    """Return False if each sequence must decode its whole prompt, in a cache per sequence."""
    return architecture not in _CANNOT_FORK
