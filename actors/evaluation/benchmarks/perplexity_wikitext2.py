"""Perplexity on English Wikipedia text: WikiText-2 raw, test split.

- Source: Merity et al. 2016, arXiv 1609.07843; the file is byte-identical to the official `wiki.test.raw`
- Revision of the data folder: sha256 173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08
- Revision on the hub: Salesforce/wikitext at b08601e04326c79dfdd32d625aee71d232d685c3, from public repositories that
  pin it. That file could not be fetched when this was written. The text made from it must have the sha256 above, else
  it is refused.
- Licence: CC BY-SA 3.0 / GFDL
- Sample item: the first 512 tokens, " = Robert Boulter = ..."
- Prompt: none; chunks of 512 tokens, the second half scored (`chunks.py`)
- Metric: `nll`, nats per token; perplexity is its exponential.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.benchmarks.reading import DataSet, hub_paths, read_text
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, SourceFile
from actors.evaluation.hub_files import HubFile
from actors.items import Scorer
from conf.faults import BadInput, Fault

OFFICIAL_SHA256 = "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08"
TEXT = DataSet(
    "perplexity_wikitext2",
    "wikitext2/wiki.test.raw.txt",
    (
        HubFile(
            "Salesforce/wikitext",
            "b08601e04326c79dfdd32d625aee71d232d685c3",
            "wikitext-2-raw-v1/test-00000-of-00001.parquet",
            None,
        ),
    ),
)


def _load(inputs: LoaderInputs) -> RawData:
    if inputs.data_dir is not None:
        return load_text(inputs, *read_text(inputs, TEXT))
    (path,) = hub_paths(inputs, TEXT)
    text = official_text(pl.read_parquet(path)["text"].to_list())
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != OFFICIAL_SHA256:
        raise BadInput(Fault(str(TEXT.hub[0]), f"text with sha256 {found}", OFFICIAL_SHA256, "Give --data-dir."))
    return load_text(inputs, text, SourceFile(str(TEXT.hub[0]), found))


def official_text(rows: Sequence[str]) -> str:
    """Return the text of `wiki.test.raw`. The hub has one row per line, and an empty row for a line of one space."""
    return "".join(row or " \n" for row in rows)


BENCHMARK = Benchmark(
    BenchmarkSpec(
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
        scorer=Scorer("measured"),
        scale=None,
        category="language_modelling",
    ),
    load=_load,
)
