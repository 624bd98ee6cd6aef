"""Keys: their content is fixed, and raising the version of the rule changes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import keys
from actors.hashing import content_hash
from actors.keys import arm_key, errors_hash, imatrix_key
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import SourceArm
from actors.quantization_orders import CalibrationText, ChunkRules
from actors.recipes import Recipe
from conf.schema.protection import TokenWeights
from tests.orchestrator.small_plan import make_inputs, make_small_plan

BUILD = {"llama_cpp_python": "1", "cpu_features": "AVX"}


def make_imatrix_key(path: str = "/a.txt", token_weights: TokenWeights | None = None) -> dict[str, object]:
    return imatrix_key(
        model="a" * 64,
        texts=(CalibrationText(path, "b" * 64, 1.0),),
        rules=ChunkRules(),
        dataset_size=1024,
        ctx=512,
        threads=2,
        gpu_layers=0,
        token_weights=token_weights,
        build=BUILD,
    )


def test_the_content_of_an_arm_key_is_fixed() -> None:
    recipe = Recipe("q4_k_m", "Q4_K_M", "q4_k_m")
    assert arm_key(model="a" * 64, recipe=recipe, imatrix="b" * 64, build=BUILD) == {
        "rule": 1,
        "kind": "arm",
        "model": "a" * 64,
        "recipe": "q4_k_m",
        "imatrix": "b" * 64,
        "build": BUILD,
    }


def test_the_content_of_an_imatrix_key_is_fixed() -> None:
    assert make_imatrix_key() == {
        "rule": 1,
        "kind": "imatrix",
        "model": "a" * 64,
        "texts": [["b" * 64, 1.0]],
        "dataset_size": 1024,
        "ctx": 512,
        "rules": {"chunk_shuffle_seed": None, "parse_special": False, "chat_template": False},
        "group_chunks": 8,
        "threads": 2,
        "gpu_layers": 0,
        "build": BUILD,
    }


def test_an_imatrix_key_has_the_token_weights_but_not_the_names_of_texts() -> None:
    assert make_imatrix_key("/a.txt") == make_imatrix_key("/b.txt")
    assert make_imatrix_key(token_weights=TokenWeights()) != make_imatrix_key()


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_a_matrix_is_not_in_the_key_of_a_recipe_that_ignores_it(kind: str) -> None:
    recipe = Recipe(kind, kind.upper(), kind)
    with_matrix = arm_key(model="a" * 64, recipe=recipe, imatrix="b" * 64, build=BUILD)
    assert with_matrix == arm_key(model="a" * 64, recipe=recipe, imatrix=None, build=BUILD)


def test_errors_are_shared_by_recipes_but_not_by_models_or_matrices() -> None:
    def errors(method: str, model: str = "a", imatrix: str = "b") -> str:
        recipe = Recipe(method, method.upper(), method)
        return errors_hash(arm_key(model=model, recipe=recipe, imatrix=imatrix, build=BUILD))

    assert errors("q4_k_m") == errors("q5_k_m")
    assert len({errors("q4_k_m"), errors("q4_k_m", model="c"), errors("q4_k_m", imatrix="c")}) == 3


def hashes_of(plan: Plan) -> list[str]:
    """Return the hash of every key in a plan, or the name that contains it."""
    return [
        *(arm.key_hash for arm in plan.arms),
        *(content_hash(imatrix.order.key) for imatrix in plan.imatrices),
        *(directory.path for directory in plan.directories),
        *(performance.unit for performance in plan.performances),
        *(check.unit for check in plan.checks),
        plan.plan_hash,
    ]


def test_raising_the_rule_changes_every_key_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs(arms=(SourceArm("published", "/x.gguf", "d" * 64, 700),))
    before = hashes_of(make_small_plan(tmp_path, inputs=inputs))
    monkeypatch.setattr(keys, "KEY_RULE", keys.KEY_RULE + 1)
    after = hashes_of(make_small_plan(tmp_path, inputs=inputs))
    assert len(before) == len(after) == 4 + 1 + 8 + 4 + 4 + 1
    assert not set(before) & set(after)
