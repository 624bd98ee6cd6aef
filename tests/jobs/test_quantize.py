"""`jobs.quantize` makes a folder of verified GGUFs, repeats no work, and reports all faults at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from actors import keys
from actors.llama.gguf_layout import read_layout
from actors.quantization.quantize import load_manifest
from jobs import collect_imatrix, quantize
from tests.jobs.running import start
from tests.small_model import smollm2_path
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def run(*words: object) -> int:
    return quantize.main([str(word) for word in words])


def test_files_are_named_by_model_and_type_and_made_once(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tmp_path / "matrix.gguf"
    words = ["--model", str(tiny), "--output", str(matrix), "--dataset-size", "512", "--threads", "1"]
    assert collect_imatrix.main(words) == 0
    output = tmp_path / "out"
    command = ("--model", f"mine={tiny}", "--imatrix", matrix, "--formats", "F16,q4_k,Q4_K_M", "--output", output)
    assert run(*command) == 0
    endings = (".gguf", ".manifest.json", ".log.txt", ".losses.json")
    names = {f"mine-{kind}{ending}" for kind in ("F16", "Q4_K_M") for ending in endings}
    assert {path.name for path in output.iterdir()} == names
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    capsys.readouterr()
    assert run(*command) == 0
    assert capsys.readouterr().out.count("exists already") == 2
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before


def test_all_faults_are_reported_at_once_and_nothing_is_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert (
        run("--model", tiny.parent / "no.gguf", "--formats", "q4_km,iq2_xxs", "--output", output, "--threads", 0) == 2
    )
    reported = capsys.readouterr().err
    for part in ("'q4_k_m'", "no such file", "iq2_xxs cannot be made without one", "--threads: got 0"):
        assert part in reported
    assert not output.exists()


def test_files_are_made_again_if_the_rule_for_keys_changes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", f"m={tiny}", "--output", tmp_path, "--formats", "f16,q4_k_m", "--protection-level", "low")
    assert run(*words) == 0
    capsys.readouterr()
    monkeypatch.setattr(keys, "KEY_RULE", keys.KEY_RULE + 1)
    assert run(*words) == 0
    assert "exists already" not in capsys.readouterr().out
    assert load_manifest(tmp_path / "m-F16.manifest.json").key["rule"] == keys.KEY_RULE
    assert len(list(tmp_path.glob(".errors-*.json"))) == 2
    assert run(*words) == 0
    assert capsys.readouterr().out.count("exists already") == 3


def test_a_file_is_made_again_for_another_matrix_only_if_its_recipe_uses_one(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", f"m={tiny}", "--output", tmp_path / "out", "--formats", "f16,q4_k_m")
    for number in (1, 2):
        matrix = tmp_path / f"matrix-{number}.gguf"
        size = ("--dataset-size", 512 * number, "--threads", 1)
        assert collect_imatrix.main([str(word) for word in ("--model", tiny, "--output", matrix, *size)]) == 0
        capsys.readouterr()
        assert run(*words, "--imatrix", matrix) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if "exists already" in line] == ["f16:"]


def test_protected_files_and_their_controls_are_made_once(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, output = tmp_path / "c.yaml", tmp_path / "out"
    config.write_text("recipes: {custom_q4: {method: q4_0, bits: 4, protection: high}}\n")
    words = ("--model", f"m={tiny}", "--output", output, "--config", config, "--formats", "f16,q4_k_m,custom_q4")
    assert run(*words, "--protection-level", "low") == 0
    assert "predicted error" in capsys.readouterr().out
    names = {path.name for path in output.glob("*.gguf")}
    protected = {"m-Q4_K_M-plow.gguf", "m-CUSTOM_Q4.gguf"}
    assert names == protected | {"m-F16.gguf", "m-Q4_K_M-plow-plain.gguf", "m-CUSTOM_Q4-plain.gguf"}
    assert {path.name for path in output.glob("*.allocation.json")} == {
        f"{Path(name).stem}.allocation.json" for name in names - {"m-F16.gguf"}
    }
    assert run(*words, "--protection-level", "low") == 0
    assert capsys.readouterr().out.count("exists already") == 5
    assert run(*words[:4], "--formats", "q4_k_m", "--target-bpw", "4.6", "--no-controls") == 0
    assert {path.name for path in output.glob("*tbpw*.gguf")} == {"m-Q4_K_M-tbpw4.6.gguf"}


def test_an_unknown_level_lists_the_known_ones(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--model", tiny, "--output", tmp_path / "out", "--protection-level", "extreme")
    reported = capsys.readouterr().err
    assert all(level in reported for level in ("none", "low", "medium", "high", "max"))


def test_a_file_where_the_folder_should_be_is_bad_input(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    assert run("--model", tiny, "--output", tmp_path / "out" / "deeper", "--formats", "f16") == 2
    assert "is a file" in capsys.readouterr().err


CONFIG = r"""
recipes:
  my_recipe: {method: q4_k_m, output: q6_k, embedding: q8_0, tensors: {"blk\\.0\\..*": q8_0}}
  custom_q4: {method: q4_0, bits: 4}
"""


def test_recipes_are_made_under_the_names_that_publishers_use(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG)
    output = tmp_path / "out"
    command = ("--model", f"mine={tiny}", "--output", output, "--config", config)
    formats = ("--formats", "q4_k_l,Q4_K_M-fp16,my_recipe,custom_q4")
    assert run(*command, *formats) == 0
    names = ["CUSTOM_Q4", "MY_RECIPE", "Q4_K_L", "Q4_K_M-fp16"]
    assert sorted(path.name for path in output.glob("*.gguf")) == [f"mine-{name}.gguf" for name in names]
    types = {row.name: row.type for row in read_layout(output / "mine-MY_RECIPE.gguf").tensors}
    assert [types[f"{name}.weight"] for name in ("output", "token_embd", "blk.0.attn_q", "blk.1.attn_q")] == [
        "Q6_K",
        "Q8_0",
        "Q8_0",
        "Q4_K",
    ]
    capsys.readouterr()
    assert run(*command, *formats) == 0
    assert capsys.readouterr().out.count("exists already") == 4
    # Same name, other content: the file must be made again.
    config.write_text(CONFIG.replace("q6_k", "q5_k"))
    assert run(*command, *formats) == 0
    assert capsys.readouterr().out.count("exists already") == 3


def test_faults_in_recipes_are_reported_before_anything_is_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("recipes: {q4_k_m: {method: q4_0}, custom_q4: {method: q4_0, bits: 5, output: q9}}\n")
    output = tmp_path / "out"
    assert run("--model", tiny, "--output", output, "--formats", "custom_q4", "--config", config) == 2
    reported = capsys.readouterr().err
    for part in ("recipes.q4_k_m", "recipes.custom_q4.bits: got 5", "recipes.custom_q4.output"):
        assert reported.count(part) == 1
    assert not output.exists()


def test_an_expression_that_llama_cpp_cannot_read_means_what_it_means_in_python(tiny: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("recipes: {mine: {method: q4_0, tensors: {'(?P<n>blk\\.0)': q8_0}}}\n")
    assert run("--model", tiny, "--output", tmp_path / "out", "--formats", "mine", "--config", config) == 0
    types = {row.name: row.type for row in read_layout(tmp_path / "out" / "tiny-MINE.gguf").tensors}
    assert [types[f"blk.{n}.attn_q.weight"] for n in (0, 1)] == ["Q8_0", "Q4_0"]


def test_killed_in_the_middle_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = ("--model", f"small={smollm2_path()}", "--formats", "q6_k", "--output", str(output), "--threads", "1")
    process = start("quantize", *words)
    # Kill it while llama.cpp writes, that is, while the file grows under its temporary name.
    while not any(path.stat().st_size for path in output.glob(".small-Q6_K.gguf.*.part")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert [path.suffix for path in output.iterdir()] == [".part"]
    assert run(*words) == 0
    endings = (".gguf", ".log.txt", ".losses.json", ".manifest.json")
    assert sorted(path.name for path in output.iterdir()) == [f"small-Q6_K{ending}" for ending in endings]


def test_two_models_in_one_folder_keep_their_names_and_replace_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    for seed, name in enumerate(("東京", "大阪")):
        assert (
            run(
                "--model",
                write_tiny_model(tmp_path / f"{name}.gguf", seed=seed),
                "--formats",
                "q8_0",
                "--output",
                output,
            )
            == 0
        )
    assert {path.name for path in output.glob("*.gguf")} == {"東京-Q8_0.gguf", "大阪-Q8_0.gguf"}
    before = {path: path.read_bytes() for path in output.iterdir()}
    capsys.readouterr()
    assert run("--model", f"東京={tmp_path / '大阪.gguf'}", "--formats", "q8_0", "--output", output) == 2
    assert "made from another model" in capsys.readouterr().err
    foreign = output / "mine-Q8_0.gguf"
    foreign.write_bytes(b"GGUF of somebody else")
    assert run("--model", f"mine={tmp_path / '大阪.gguf'}", "--formats", "q8_0", "--output", output) == 2
    assert "this job has not made" in capsys.readouterr().err
    foreign.unlink()
    assert {path: path.read_bytes() for path in output.iterdir()} == before
    (output / "東京-Q8_0.manifest.json").write_text("[]")
    assert run("--model", f"東京={tmp_path / '大阪.gguf'}", "--formats", "q8_0", "--output", output) == 2
    assert "whose manifest is damaged" in capsys.readouterr().err
    assert (output / "東京-Q8_0.gguf").read_bytes() == before[output / "東京-Q8_0.gguf"]


def test_a_fault_in_the_configuration_names_no_flag_that_the_job_does_not_have(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("runs: 0\nlayout: {threads: 0}\n")
    assert run("--model", tiny, "--config", config, "--output", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "- runs: got 0" in said and "--runs" not in said and "--threads: got 0" in said
