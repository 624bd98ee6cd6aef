"""The KV cache of a benchmark depends on the shape of its prompts and on the available memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.evaluation.kv_cache import Cache, CacheNeed, choose_cache

CHAT = CacheNeed(prefix=40, own=120, answer=128, at_once=1)
FEW_SHOT = CacheNeed(prefix=2000, own=100, answer=64, at_once=1)
LIKELIHOOD = CacheNeed(prefix=1500, own=150, answer=0, at_once=4)
NEEDS = st.builds(CacheNeed, st.integers(0, 4000), st.integers(1, 500), st.integers(0, 600), st.integers(1, 5))


def test_chat_without_shots_gets_own_caches_and_a_long_shared_prefix_a_unified_one() -> None:
    assert choose_cache(CHAT, 32, share=True, most_cells=None) == Cache(32, 34 * 512, unified=False)
    for need in (FEW_SHOT, LIKELIHOOD):
        cache = choose_cache(need, 32, share=True, most_cells=None)
        assert cache is not None and cache.unified and cache.sequences == 32


def test_short_memory_gives_a_unified_cache_before_fewer_sequences() -> None:
    tight = choose_cache(CHAT, 32, share=True, most_cells=10_000)
    assert tight is not None and tight.unified and tight.sequences == 32
    tighter = choose_cache(CHAT, 32, share=True, most_cells=1024)
    assert tighter is not None and tighter.sequences < 8


@given(NEEDS, st.integers(5, 64), st.booleans(), st.integers(256, 100_000))
def test_a_cache_holds_its_sequences_and_keeps_within_memory(
    need: CacheNeed, most: int, share: bool, cells: int
) -> None:
    cache = choose_cache(need, most, share=share, most_cells=cells)
    longest = need.prefix + need.own + need.answer
    if cache is None:
        least = need.unified_cells(need.at_once) if share else need.cells_by_sequence(need.at_once)
        assert cells < least
        return
    assert cache.n_ctx <= cells and cache.n_ctx % 256 == 0
    assert need.at_once <= cache.sequences <= most
    assert share or not cache.unified
    assert longest <= (cache.n_ctx if cache.unified else cache.n_ctx // (cache.sequences + 2))
    more = choose_cache(need, most, share=share, most_cells=None)
    assert more is not None and more.sequences == most >= cache.sequences
