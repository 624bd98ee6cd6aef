"""Perplexity against llama.cpp's own program, on the real model and text."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from actors.evaluation.benchmarks import load
from actors.evaluation.engines import Measured
from actors.evaluation.engines.llama import LlamaEngine
from actors.llama.model import Model
from conf.schema import Sampling
from tests.evaluation.conftest import ignore, layout

CHUNKS = 3


@pytest.fixture
def program() -> str:
    folders = os.pathsep.join([os.environ.get("LLAMA_TOOLS", ""), os.environ.get("PATH", "")])
    found = shutil.which("llama-perplexity", path=folders)
    if found is None:
        pytest.skip("llama-perplexity is neither in LLAMA_TOOLS nor on PATH")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "file"),
    [("perplexity_wikitext2", "wikitext2/wiki.test.raw.txt"), ("perplexity_ja_wiki", "ja_wiki/test.txt")],
)
def test_perplexity_is_that_of_llama_perplexity(
    benchmark: str, file: str, program: str, smollm2_path: str, data_dir: Path
) -> None:
    with Model(smollm2_path, vocab_only=True) as vocabulary:
        data = load(benchmark, data_dir=data_dir, sampling=Sampling(), vocabulary=vocabulary)
    engine = LlamaEngine(smollm2_path, replace(layout(sequences=1, n_ctx=512), n_batch=512, n_ubatch=512))
    chunks = [chunk for chunk in engine.measure(data.items[:CHUNKS], ignore) if isinstance(chunk, Measured)]
    engine.close()
    ours = math.exp(sum(chunk.nll_sum for chunk in chunks) / sum(chunk.n_tokens for chunk in chunks))
    # No repacking and no flash attention, as in the layout: other kernels differ in the fourth digit.
    options = ["-c", "512", "-b", "512", "-t", "1", "--chunks", str(CHUNKS), "--no-repack", "-fa", "off"]
    command = [program, "-m", smollm2_path, "-f", str(data_dir / file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    stated = re.search(r"Final estimate: PPL = ([\d.]+)", done.stdout + done.stderr)
    assert stated is not None
    assert ours == pytest.approx(float(stated[1]), rel=1e-4)
