"""Loading the configuration: what overrides what, and how faults are reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conf.environment import let_waiting_threads_sleep
from conf.faults import BadInput, near_names
from conf.load import dump_yaml, load, resolve_path

MODEL = {"models": [{"name": "m", "path": "/m.gguf"}]}


def faults_of(flags: dict[str, object], config: str | None = None) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        load(config, {**MODEL, **flags})
    return {fault.key: str(fault) for fault in caught.value.faults}


def test_flags_override_the_file_and_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("runs: 4\nsampling: {temperature: 0.2, top_k: 3}\n", encoding="utf-8")
    config = load(path, {**MODEL, "sampling": {"temperature": 0.9}})
    assert (config.runs, config.sampling.temperature, config.sampling.top_k, config.seed) == (4, 0.9, 3, 0)


def test_the_configurations_of_the_project_load() -> None:
    assert load(None, MODEL).quantizations == ("bf16", "q8_0", "q4_k_m")
    assert load("conf/demo.yaml", {}).models[0].name == "SmolLM2-135M-Instruct"


def test_all_faults_are_reported_at_once() -> None:
    assert set(faults_of({"runs": 0, "limit": -1, "layout": {"threads": 0}})) == {"--runs", "--limit", "--threads"}


@pytest.mark.parametrize("weight", [0, 0.5, -1, 1e9, float("inf"), float("nan"), "much"])
def test_a_tokens_weight_is_a_number_from_1_to_1000(weight: object) -> None:
    key = "protection.token_weights.mathematics"
    assert key in faults_of({"protection": {"token_weights": {"mathematics": weight}}})


@pytest.mark.parametrize(("gpus", "taken"), [(0.25, True), (1, True), (2.0, True), (1.5, False), (0, False)])
def test_a_worker_gets_a_share_of_one_gpu_or_whole_ones(gpus: float, taken: bool) -> None:
    # A second fault, so that there is always one.
    found = faults_of({"execution": {"gpus_per_worker": gpus}, "limit": -1})
    assert ("execution.gpus_per_worker" not in found) == taken


def test_an_unknown_key_names_the_near_one() -> None:
    assert "'benchmarks'" in faults_of({"benchmark": ["gsm8k"]})["benchmark"]
    assert "'threads'" in faults_of({"layout": {"thread": 1}})["layout.thread"]


@pytest.mark.parametrize("pipeline_id", ["../out", "a/b", "..", "", ".hidden", "a b", "x" * 200])
def test_a_pipeline_id_cannot_leave_the_storage(pipeline_id: str) -> None:
    assert "--pipeline-id" in faults_of({"pipeline_id": pipeline_id})


def test_a_wrong_item_of_a_list_is_one_fault() -> None:
    with pytest.raises(BadInput) as raised:
        load(None, {"models": [{"name": "\u202eabc", "path": "x"}]})
    assert [fault.allowed for fault in raised.value.faults] == [
        "a name of letters, digits and _ . + ~ - (not '\\u202e')"
    ]
    with pytest.raises(BadInput, match="allowed: a list with at least 1 item\\."):
        load(None, {"models": []})


@pytest.mark.parametrize("number", ["010", "0x10", "1:30", "0b11", "1:30.5"])
def test_a_number_that_yaml_reads_in_another_base_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "c.yaml").write_text(f"seed: 0\nruns: {number}\n")
    with pytest.raises(BadInput, match=f"line 2.*Write '{number}' in decimal digits"):
        load(tmp_path / "c.yaml", MODEL)


def test_a_missing_model_is_reported_with_its_flag() -> None:
    with pytest.raises(BadInput, match="--model: got None"):
        load(None, {})


def test_a_broken_yaml_file_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("runs: 4\nseed: [1\n", encoding="utf-8")
    assert "line 3" in faults_of({}, str(path))["--config"]


def test_a_missing_config_file_is_bad_input(tmp_path: Path) -> None:
    assert "No such file" in faults_of({}, str(tmp_path / "none.yaml"))["--config"]


def test_a_written_configuration_reads_back_the_same(tmp_path: Path) -> None:
    config = load("conf/demo.yaml", {"seed": 7})
    (tmp_path / "c.yaml").write_text(dump_yaml(config), encoding="utf-8")
    assert load(tmp_path / "c.yaml", {}) == config


def test_a_package_file_is_found_without_importing_the_package() -> None:
    path, _, part = resolve_path("package:pydoc_data/topics.py#1/2", key="--calibration").partition("#")
    assert Path(path).is_file()
    assert part == "1/2"


def test_a_package_that_is_not_installed_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"--model: .*no_such_package"):
        resolve_path("package:no_such_package/file", key="--model")


@pytest.mark.parametrize("spec", ["", " ", "#1/2"])
def test_no_name_is_not_this_folder(spec: str) -> None:
    with pytest.raises(BadInput, match=r"--model: got '.*'; allowed: the name of a file or a folder\. Is a variable"):
        resolve_path(spec, key="--model")


def test_near_names_give_no_hint_if_no_name_is_similar() -> None:
    assert near_names("zzzz", ["q4_k_m", "q8_0"]) == ""
    assert "q4_k_m" in near_names("q4_km", ["q4_k_m", "q8_0"])


@pytest.mark.parametrize("set_already", [{}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_waiting_threads_sleep_unless_the_user_has_set_it(
    set_already: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(set_already))
    let_waiting_threads_sleep()
    assert os.environ == (set_already or {"GOMP_SPINCOUNT": "1000"})


def test_a_text_with_commas_is_a_list_as_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("quantizations: q8_0,q4_k_m\nbenchmarks: gsm8k, math,gsm8k\nimatrix: none\n")
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert config.quantizations == ("q8_0", "q4_k_m")
    assert (config.benchmarks, config.imatrix) == (("gsm8k", "math"), ("none",))


def test_a_path_whose_bytes_are_not_utf8_is_refused() -> None:
    name = os.fsdecode(b"\x93\x8c\x8b\x9e.gguf")  # a name in Shift-JIS
    said = faults_of({"models": [{"name": "m", "path": name}]})["--model"]
    assert "text in UTF-8" in said and "\\udc93" in said


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("runs: true", "--runs"),
        ("limit: false", "--limit"),
        ("sampling: {temperature: true}", "--temperature"),
        ("statistics: {margins: {accuracy: true}}", "statistics.margins.accuracy"),
        ("layout: {n_batch: 1000000000}", "layout.n_batch"),
    ],
)
def test_truth_values_and_huge_sizes_are_no_numbers(line: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"{line}\n", encoding="utf-8")
    assert list(faults_of({}, str(path))) == [key]
