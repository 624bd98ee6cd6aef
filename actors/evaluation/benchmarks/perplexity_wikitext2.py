"""Perplexity on English Wikipedia text: WikiText-2 raw, test split.

- Source: Merity et al. 2016, arXiv 1609.07843; the file is byte-identical with the official `wiki.test.raw`
- Revision: sha256 173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08, as found in the data folder
- Licence: CC BY-SA 3.0 / GFDL
- Sample item: the first 512 tokens, " = Robert Boulter = ..."
- Prompt: none; chunks of 512 tokens, the second half scored (`chunks.py`)
- Metric: `nll`, nats per token; perplexity is its exponential.
"""

from __future__ import annotations

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.benchmarks.reading import data_file, read_text_file, source_file
from actors.evaluation.contract import Benchmark, Inputs, Loaded
from actors.evaluation.scorers.likelihood import score_measured


def _load(inputs: Inputs) -> Loaded:
    path = data_file(inputs, "perplexity_wikitext2", "wikitext2/wiki.test.raw.txt")
    return load_text(inputs, read_text_file(path), source_file(inputs, path))


BENCHMARK = Benchmark(
    name="perplexity_wikitext2",
    version=1,
    kind="measure",
    metric="nll",
    higher_is_better=False,
    shots=0,
    title={"en": "Perplexity, WikiText-2 (English)", "ja": "パープレキシティ WikiText-2（英語）"},
    url="https://arxiv.org/abs/1609.07843",
    licence="CC BY-SA 3.0 / GFDL",
    revision="sha256:173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08",
    load=_load,
    score=score_measured,
)
