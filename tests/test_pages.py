"""README and pages: every link leads somewhere, both READMEs show the same, and lists in them are those of the code."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import markdown
import pytest
from pydantic_core import PydanticUndefined

from actors.evaluation import benchmarks
from actors.evaluation.benchmarks.reading import DataSet
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.quantizer import plan_quantization
from conf.flags import FLAGS
from conf.schema.base import Frozen
from conf.schema.pipeline import PipelineConfig
from conf.schema.protection import PROTECTION_BPW
from tests import pages
from tests.bench.large_models import table
from tests.pages import FOLDER, JAPANESE, PAGES, README, ROOT
from tests.small_model import smollm2_file

JOBS = ("pipeline", "collect_imatrix", "quantize", "evaluate", "visualize", "document", "judge", "watch", "doctor")
OTHER_PROGRAMS = {
    *("--kl-divergence", "--show-statistics", "--output-tensor-type", "--token-embedding-type", "--tensor-type"),
    *("--address", "--working-dir", "--runtime-env", "--no-wait", "--submission-id", "--follow", "--head"),
    *(
        "--gpus",
        "--num-gpus",
        "--dashboard-host",
        "--generate",
        "--host",
        "--backend-store-uri",
        "--subagent",
        "--measure",
    ),
}
"""Options of llama.cpp, Ray, MLflow, the earlier pipeline and our benches, which pages name too."""
LONGEST_README = 150
"""Lines, so that a reader gets to the end."""


def _links(page: Path) -> list[str]:
    html = markdown.markdown(page.read_text(encoding="utf-8"), extensions=["fenced_code", "tables"])
    return re.findall(r'(?:href|src)="([^"]+)"', html)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the hub of the repository makes them."""
    headings = re.findall(r"^#+ (.+)$", pages.text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, JAPANESE], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = _links(page)
    assert links or page.parent == FOLDER
    for link in links:
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert "://" not in link and target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_both_readmes_lead_to_every_page() -> None:
    for readme in (README, JAPANESE):
        linked = {(ROOT / link.partition("#")[0]).resolve() for link in _links(readme)}
        assert {page for page in PAGES if page != README} <= linked
        assert readme.read_text(encoding="utf-8").count("\n") <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_begins_with_what_it_is_for(page: Path) -> None:
    title, empty, first, *_ = page.read_text(encoding="utf-8").splitlines()
    assert title.startswith("# ") and not empty and re.match(r"[A-Z\[]", first)


def test_both_readmes_show_the_same_examples_pictures_and_links() -> None:
    shown = list(pages.commands(README))
    assert shown[:2] == [["make", "demo"], ["make", "test"]] and shown == list(pages.commands(JAPANESE))
    output = [[block.text for block in pages.blocks(readme) if not block.language] for readme in (README, JAPANESE)]
    assert output[0] == output[1] and output[0]
    english, japanese = (set(_links(readme)) for readme in (README, JAPANESE))
    assert english - {JAPANESE.name} == japanese - {README.name}


def test_what_large_models_take_is_what_the_script_says(tmp_path: Path) -> None:
    made = table(tmp_path).splitlines()
    assert "\n".join(made) in (FOLDER / "speed.md").read_text(encoding="utf-8")
    shown = _table_below(README, made[0])
    assert [row for row in made if row in shown] == shown and len(shown) >= 8
    assert _numbers(_table_below(JAPANESE, made[0])) == _numbers(shown)


def _table_below(page: Path, head: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return text[text.index(head) :].split("\n\n")[0].splitlines()


def test_the_bits_per_weight_of_the_demo_are_those_of_its_types() -> None:
    source = smollm2_file()
    if source is None:
        pytest.skip("the demo's model is not installed")
    weights = {tensor.name: tensor.n_elements for tensor in read_header(source).tensors}
    made, total = plan_quantization(source, resolve_type("q4_k_m"), with_imatrix=True), sum(weights.values())
    share = {kind: sum(weights[one.name] for one in made.tensors if one.type == kind) for kind in ("Q5_0", "Q8_0")}
    page = " ".join((FOLDER / "speed.md").read_text(encoding="utf-8").split())
    assert f"{share['Q5_0'] / total:.0%} of the weights become q5_0" in page
    assert f"{share['Q8_0'] / total:.0%} q8_0" in page and 0.19 < weights["token_embd.weight"] / total < 0.22
    bits = f"{8 * sum(one.n_bytes for one in made.tensors) / total:.2f}"
    assert all(bits in text for text in (page, README.read_text("utf-8"), JAPANESE.read_text("utf-8")))


def _numbers(rows: list[str]) -> list[list[str]]:
    return [re.findall(r"\d[\d.]*", " ".join(row.split("|")[2:])) for row in rows]


def _leaves(node: type[Frozen], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in node.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Frozen):
            yield from _leaves(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", field.get_default(call_default_factory=True)


def test_the_configuration_page_has_every_key_with_its_default_and_flag() -> None:
    lines = re.findall(r"^\| `.*\|$", pages.text_of(FOLDER / "configuration.md"), re.MULTILINE)
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:4]] for line in lines]
    known = dict(_leaves(PipelineConfig))
    assert sorted(key for key, _, _ in rows) == sorted(known)
    for key, default, flag in rows:
        assert flag.partition(" ")[0] == FLAGS.get(key, ""), key
        value = known[key]
        if value is None or value is PydanticUndefined or value in ((), {}):
            continue  # the page says in words what takes its place
        wanted = ", ".join(value) if isinstance(value, tuple) else str(value).lower().removesuffix(".0")
        assert default == wanted, key


def test_the_pages_name_every_benchmark_and_its_files() -> None:
    page = pages.text_of(FOLDER / "benchmarks.md")
    assert [name for name in benchmarks.BENCHMARKS if f"`{name}`" not in page] == []
    modules = [importlib.import_module(f"actors.evaluation.benchmarks.{path.stem}") for path in _benchmark_files()]
    sets = [value for module in modules for value in vars(module).values() if isinstance(value, DataSet)]
    assert len(sets) > 5
    assert [one.name for one in sets if f"`{one.name}`" not in page] == []
    repositories = {file.repository for one in sets for file in one.hub}
    assert repositories and [name for name in repositories if f"`{name}`" not in page] == []


def _benchmark_files() -> list[Path]:
    return sorted(path for path in Path(benchmarks.__file__).parent.glob("*.py") if path.stem != "__init__")


def test_the_protection_page_has_the_levels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", pages.text_of(FOLDER / "protection.md"), re.MULTILINE)
    assert {name: float(bits) for name, bits in rows} == dict(PROTECTION_BPW)


def test_every_option_that_a_page_names_exists() -> None:
    known = set(OTHER_PROGRAMS)
    for job in JOBS:
        made: argparse.ArgumentParser = importlib.import_module(f"jobs.{job}").parser()
        known |= {option for action in made._actions for option in action.option_strings}
    for page in (*PAGES, JAPANESE):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", page.read_text(encoding="utf-8")))
        assert named - known == set(), page.name


def test_messages_and_comments_point_to_pages_that_exist() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in _sources()}
    named = {found for text in texts.values() for found in re.findall(r"conf/docs/\w+\.md", text)}
    assert named and [name for name in named if not (ROOT / name).is_file()] == []
    assert [path for path, text in texts.items() if re.search(r"(see|in) the README|README, \"", text)] == []


def _sources() -> list[Path]:
    """Return the files that speak to people: programs, templates, and what starts them."""
    folders = [ROOT / name for name in ("jobs", "actors", "reporting", "stats", "conf")]
    found = [path for folder in folders for kind in ("*.py", "*.j2", "*.yaml") for path in folder.rglob(kind)]
    return [*found, ROOT / "Makefile", ROOT / "cluster.yaml", ROOT / ".ci" / "setup.sh"]
