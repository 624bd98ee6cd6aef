"""Broken and hostile GGUFs: each is refused with one message, or gives a model that llama.cpp loads and decodes with.

llama.cpp itself runs in a process of its own, which may end; this process may not, nor may it hang or fill the memory.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actors.llama.activation_sums import TensorActivations
from actors.llama.gguf_file import read_header
from actors.llama.isolated_trial import IsolatedTrial, check_loads, shared_trial
from actors.llama.model import Model
from actors.quantization.imatrix_file import Imatrix, quantization_data, read_imatrix, write_imatrix
from conf.faults import BadInput
from tests.gguf_mutations import gguf_text, mutated, parse
from tests.small_model import smollm2_path
from tests.tiny_model import TinyShape, write_tiny_model

FEW, MANY = range(150), range(1000, 2100)
SHAPE = TinyShape(n_layers=1)
MOST_BYTES = 2 * 2**30
MOST_S = 60.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", shape=SHAPE).read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def outcome(path: Path) -> str:
    """Return how a file is met: `header` or `trial` if it is refused there, else `accepted`."""
    where = "header"
    try:
        header = read_header(path)
        where = "trial"
        check_loads(header, key="--model", got=path.name)
    except BadInput as error:
        assert len(error.faults) == 1
        said = str(error)
        assert said.isprintable() and len(said) < 1500, said
        return where
    return "accepted"


def outcomes(path: Path, content: bytes, seeds: range) -> Counter[str]:
    """Meet mutations of a model. What is accepted is also loaded here: if that ends the process, the test fails."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        path.write_bytes(mutated(content, seed))
        began = time.monotonic()
        met = outcome(path)
        assert time.monotonic() - began < MOST_S, f"seed {seed}"
        counts[met] += 1
        if met == "accepted":
            with Model(path, vocab_only=True) as vocabulary:
                assert vocabulary.tokenize("One, two", add_special=True, parse_special=False)
    shared_trial().close()  # only the memory of children that have ended is known
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        assert resource.getrusage(who).ru_maxrss * 1024 < MOST_BYTES
    print(dict(counts))
    return counts


def test_mutations_of_a_model_are_refused_or_load(path: Path, tiny: bytes) -> None:
    counts = outcomes(path, tiny, FEW)
    assert counts["header"] > len(FEW) / 3
    assert counts["accepted"]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_many_mutations_of_a_model_are_refused_or_load(path: Path, tiny: bytes, part: int) -> None:
    counts = outcomes(path, tiny, MANY[part::5])
    assert counts["header"] > len(MANY) / 15


@pytest.mark.slow
def test_mutations_of_the_head_of_a_real_model_are_refused_or_load(path: Path) -> None:
    assert outcomes(path, smollm2_path().read_bytes(), range(100))["header"] > 30


def meet_matrices(path: Path, folder: Path, seeds: range) -> Counter[str]:
    """Meet mutations of an importance matrix. What is accepted must have values that llama.cpp can use."""
    rng = np.random.default_rng(0)
    entries = {
        f"blk.{layer}.ffn_down.weight": TensorActivations(np.abs(rng.standard_normal((1, 512))), np.array([64.0]))
        for layer in range(4)
    }
    entries["blk.0.ffn_up_exps.weight"] = TensorActivations(np.ones((3, 256)), np.array([1.0, 0.0, 5.0]))
    whole = folder / "whole.gguf"
    write_imatrix(whole, Imatrix(entries, ("text",), 4, 512), group_chunks=4)
    counts: Counter[str] = Counter()
    for seed in seeds:
        path.write_bytes(mutated(whole.read_bytes(), seed))
        try:
            data = quantization_data(read_imatrix(path), path.name)
        except BadInput as error:
            assert len(error.faults) == 1 and str(error).isprintable()
            counts["refused"] += 1
            continue
        counts["accepted"] += 1
        assert all(np.isfinite(values).all() and (values >= 0).all() for values in data.importance.values())
    print(dict(counts))
    return counts


def test_mutations_of_a_matrix_are_refused_or_usable(path: Path, tmp_path: Path) -> None:
    counts = meet_matrices(path, tmp_path, range(200))
    assert counts["refused"] > 60 and counts["accepted"] > 10


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 1e30])
@pytest.mark.parametrize("what", ["sums", "counts"])
def test_a_matrix_with_impossible_values_is_refused(path: Path, bad: float, what: str) -> None:
    if (bad, what) == (1e30, "counts"):
        return  # a large count is odd, but the means are small
    sums, counts = np.ones((1, 256)), np.array([8.0])
    (sums if what == "sums" else counts).flat[-1] = bad
    write_imatrix(path, Imatrix({"blk.0.ffn_up.weight": TensorActivations(sums, counts)}, (), 1, 512), group_chunks=4)
    with pytest.raises(BadInput, match=r"finite and not negative \('blk.0.ffn_up.weight' has"):
        read_imatrix(path)


def test_a_file_that_is_no_model_says_what_it_is(path: Path, tiny: bytes) -> None:
    file = parse(tiny)
    file.values = [
        (key, *gguf_text("clip")) if key == b"general.architecture" else (key, kind, value)
        for key, kind, value in file.values
    ]
    path.write_bytes(file.written())
    with pytest.raises(BadInput, match="mmproj"):
        read_header(path)


def test_an_unknown_architecture_is_one_message(path: Path, tiny: bytes) -> None:
    file = parse(tiny)
    file.values = [
        (key.replace(b"llama.", b"lama."), *(gguf_text("lama") if key == b"general.architecture" else (kind, value)))
        for key, kind, value in file.values
    ]
    path.write_bytes(file.written())
    with pytest.raises(BadInput, match="unknown model architecture: 'lama'"):
        check_loads(read_header(path), key="--model", got="m")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(BadInput, match="folder or a device"):
        read_header(tmp_path / "pipe.gguf")
    with pytest.raises(BadInput, match="no regular file"):
        read_imatrix(tmp_path / "pipe.gguf")


@contextlib.contextmanager
def own_trial(base_s: float) -> Iterator[IsolatedTrial]:
    trial = IsolatedTrial(base_s=base_s)
    try:
        yield trial
    finally:
        trial.close()


def test_a_trial_that_ended_or_hangs_is_told_and_started_anew(path: Path, tiny: bytes) -> None:
    path.write_bytes(tiny)
    header = read_header(path)
    with own_trial(30.0) as trial:
        trial.check(header)
        process = trial._process._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        threading.Timer(0.5, process.kill).start()
        with pytest.raises(Exception, match=r"ended its process \(SIGKILL\)"):
            trial.check(header)
        trial.check(header)
    with own_trial(-10.0) as trial, pytest.raises(Exception, match="did not finish"):
        trial.check(header)


def test_the_largest_real_header_is_read_quickly() -> None:
    read_header(smollm2_path())
    began = time.perf_counter()
    read_header(smollm2_path())
    assert time.perf_counter() - began < 1
