"""Perplexity on Python's own language reference, for runs without a data folder (the demo).

- Source: the last eighth of `pydoc_data/topics.py` of the Python that runs the job. The demo calibrates on its first
  half
- Revision: the version of that Python; the results hold the hash of the text
- Licence: PSF License Agreement
- Sample item: the first 512 tokens of that part
- Prompt: none; chunks of 512 tokens, the second half scored (`chunks.py`)
- Metric: `nll`, nats per token; perplexity is its exponential.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, SourceFile
from actors.items import Scorer
from conf.faults import BadInput, Fault
from conf.texts import read_text

PART = "#8/8"


def _load(inputs: LoaderInputs) -> RawData:
    found = importlib.util.find_spec("pydoc_data.topics")
    if found is None or found.origin is None:
        raise BadInput(Fault("--benchmarks", "perplexity_pydoc", "a Python with its pydoc_data", "Leave it out."))
    text = read_text(found.origin + PART, key="--benchmarks")
    # The name leaves out the folder of this machine's Python, because the results are read elsewhere.
    name = f"pydoc_data/topics.py{PART}"
    return load_text(inputs, text, SourceFile(name, hashlib.sha256(text.encode()).hexdigest()))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="perplexity_pydoc",
        version=1,
        kind="measure",
        metric="nll",
        higher_is_better=False,
        shots=0,
        title={"en": "Perplexity, Python reference (demo)", "ja": "パープレキシティ Pythonリファレンス（デモ）"},
        url="https://docs.python.org/3/reference/",
        licence="PSF License Agreement",
        revision=f"Python {platform.python_version()}",
        scorer=Scorer("measured"),
        scale=None,
        category="language_modelling",
    ),
    load=_load,
)
