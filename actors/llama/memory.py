"""Which models' memory can be forked: one sequence decoded, others going on from where it is.

llama.cpp copies whole sequences in plain caches, in those of sliding windows, and in recurrent and hybrid states
(`llama_memory_seq_cp`; the tests decode such models). The exceptions stand here, by `general.architecture`.
"""

from __future__ import annotations

_CANNOT_FORK = frozenset({"deepseek4"})
"""deepseek4 keeps compressed states, one a sequence; a unified cache has room for a single one, and a copy into another
ends the process (src/llama-kv-cache-dsv4.cpp, `llama_dsv4_comp_state::seq_cp`)."""


def can_fork(architecture: str) -> bool:
    """False where each sequence must decode its whole prompt, in a cache by sequence."""
    return architecture not in _CANNOT_FORK
