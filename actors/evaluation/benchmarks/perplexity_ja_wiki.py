"""Perplexity on Japanese Wikipedia text: paragraphs of 97 articles (the contexts of JSQuAD).

- Source: https://github.com/yahoojapan/JGLUE, datasets/jsquad-v1.3/{test,valid}-v1.3.json
- Revision: 6f071c09316baae89c3d083a90985b4b1cb9968c, as in the data folder (`ja_wiki/test.txt`). No hub has it in this
  form
- Licence: CC BY-SA 4.0
- Sample item: the first 512 tokens of the file
- Prompt: none; chunks of 512 tokens, the second half scored (`chunks.py`)
- Metric: `nll`, nats per token; perplexity is its exponential. Tokens of different vocabularies are different units, so
  the numbers compare arms of one model, not models.
"""

from __future__ import annotations

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.benchmarks.reading import DataSet, read_text
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData
from actors.items import Scorer

TEXT = DataSet("perplexity_ja_wiki", "ja_wiki/test.txt")


def _load(inputs: LoaderInputs) -> RawData:
    return load_text(inputs, *read_text(inputs, TEXT))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="perplexity_ja_wiki",
        version=1,
        kind="measure",
        metric="nll",
        higher_is_better=False,
        shots=0,
        title={"en": "Perplexity, Japanese Wikipedia", "ja": "パープレキシティ 日本語Wikipedia"},
        url="https://github.com/yahoojapan/JGLUE",
        licence="CC BY-SA 4.0",
        revision="6f071c09316baae89c3d083a90985b4b1cb9968c",
        scorer=Scorer("measured"),
        scale=None,
        category="language_modelling",
    ),
    load=_load,
)
