"""Check the rules of the project's structure, such as which package may import which.

The tests read the syntax tree and the text of every file, and import none of them. Imports inside functions and under
`TYPE_CHECKING` count too: they would hide a circular dependency, not remove it.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "conf": {"conf"},
    "stats": {"stats"},
    "reporting": {"conf", "stats", "reporting"},
    "actors": {"conf", "stats", "reporting", "actors"},
    "jobs": {"conf", "stats", "reporting", "actors", "jobs"},
}
"""The packages that each package may import."""
WORKER_ROLES = {"quantization", "evaluation", "judging", "visualization", "documentation"}
ROLES = WORKER_ROLES | {"orchestrator"}
FLOORS = {
    "actors": (
        ("llama",),
        ("engines",),
        ("evaluation", "judging", "quantization", "visualization", "documentation"),
        ("orchestrator",),
    ),
    "actors/orchestrator": (("sources",), ("planning",)),
    "reporting": (("analysis",), ("terminal", "charts"), ("documents",)),
    "reporting/documents": (("tables", "sentences"), ("card", "pdf", "page", "side_by_side")),
}
"""Per folder: its floors, from lowest to highest. A package may import packages of lower floors, but no other package
of its own floor. Modules next to the packages are on no floor."""
RANDOM_SOURCES = {"default_rng", "Generator", "BitGenerator", "SeedSequence", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
NAMES_OF_FILES = ("actors/store.py", "actors/stored_files.py", "reporting/file_names.py")
"""The only modules that contain the names of files in a run directory."""
SEES_OTHER_FILES = {
    "models, checkpoints, data sets and texts that a user names": {
        "actors/evaluation/benchmarks/mgsm_ja.py",
        "actors/evaluation/benchmarks/reading.py",
        "actors/llama/gguf_file.py",
        "actors/llama/gguf_layout.py",
        "actors/orchestrator/sources/calibration.py",
        "actors/orchestrator/sources/uploaded_copy.py",
        "actors/quantization/checkpoint.py",
        "conf/hub_ids.py",
        "conf/mixes.py",
        "conf/texts.py",
        "jobs/evaluate.py",
    },
    "caches of downloads and of the converter": {
        "actors/hub.py",
        "actors/quantization/converter.py",
        "actors/quantization/dataset_text.py",
    },
    "this machine": {
        "actors/evaluation/custom_function.py",
        "actors/machine.py",
        "actors/machine_load.py",
        "actors/nodes_reading.py",
        "actors/quantization/memory.py",
        "jobs/_checks.py",
        "reporting/fonts.py",
    },
    "the run directory itself, on behalf of all other modules": {
        "actors/store.py",
        "actors/stored_files.py",
        "conf/files.py",
    },
}
"""The modules that may look for files in the file system, grouped by what they look for."""
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
MOST_BROAD_EXCEPTS = 5
NOT_OURS = {".git", ".venv", "runs", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}


def _files_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def _trees(*folders: str) -> dict[str, ast.Module]:
    """Return the syntax tree of each file. Parsing takes seconds, so it waits for the first test that needs them."""
    return {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in _files_of(*folders)}


def _sources() -> dict[str, ast.Module]:
    return _trees(*LAYERS)


def _sources_and_tests() -> dict[str, ast.Module]:
    return _sources() | _trees("tests")


@pytest.fixture(scope="module", autouse=True)
def trees_are_dropped() -> Iterator[None]:
    """Drop the trees at the end. With a million nodes alive, the garbage collector slows down all later tests."""
    yield
    _trees.cache_clear()


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names that a module imports anywhere. `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a chain of attributes, an empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""


def _importers_of(package: str) -> set[str]:
    return {
        name for name, tree in _sources().items() if any(target.split(".")[0] == package for target in _imports(tree))
    }


def _role(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "actors" and parts[1] in ROLES else None


def test_imports_run_one_way() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources().items()
        for target in _imports(tree)
        if target.split(".")[0] in {*LAYERS, "tests"} - LAYERS[name.split("/")[0]]
    ]
    assert wrong == []


def _package_in(folder: str, dotted: str) -> str | None:
    """Return the package in `folder` that contains a dotted name, or None."""
    prefix = folder.replace("/", ".") + "."
    package = dotted.removeprefix(prefix).split(".")[0] if dotted.startswith(prefix) else ""
    return package if any(package in floor for floor in FLOORS[folder]) else None


@pytest.mark.parametrize("folder", FLOORS)
def test_a_floor_imports_only_lower_floors(folder: str) -> None:
    level = {package: number for number, floor in enumerate(FLOORS[folder]) for package in floor}
    assert all((ROOT / folder / package).is_dir() for package in level)
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources().items()
        if (own := _package_in(folder, name.removesuffix(".py").replace("/", "."))) is not None
        for target in _imports(tree)
        if (other := _package_in(folder, target)) is not None and other != own and level[other] >= level[own]
    ]
    assert wrong == []


def test_no_worker_role_imports_another_role() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources().items()
        if (role := _role(name.replace("/", "."))) in WORKER_ROLES
        for target in _imports(tree)
        if _role(target) not in {None, role}
    ]
    assert wrong == []


def test_code_shared_by_roles_imports_no_role() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in _sources().items()
        if name.startswith("actors/") and _role(name.replace("/", ".")) is None
        for target in _imports(tree)
        if _role(target)
    ]
    assert wrong == []


def test_there_are_no_circular_imports() -> None:
    graph: dict[str, set[str]] = {}
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in _sources()}
    for name, tree in _sources().items():
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        candidates = ({target, target.rpartition(".")[0]} & modules for target in _imports(tree))
        # `from a import b` means the module a.b if it exists, otherwise a.
        graph[module] = {max(found, key=len) for found in candidates if found}
    graphlib.TopologicalSorter(graph).prepare()


def test_only_actors_and_jobs_import_ray() -> None:
    wrong = {
        name
        for name in _importers_of("ray")
        if not (name.startswith("jobs/") or re.fullmatch(r"actors/.+/actor\.py", name))
    }
    assert wrong == set()


def test_only_the_mirror_and_its_client_import_mlflow() -> None:
    assert _importers_of("mlflow") <= {"actors/tracking/mirror.py", "actors/tracking/client.py"}


def test_only_actors_llama_imports_llama_cpp() -> None:
    assert {name for name in _importers_of("llama_cpp") if not name.startswith("actors/llama/")} == set()


def test_only_one_file_reads_the_environment() -> None:
    readers = {
        name
        for name, tree in _sources().items()
        for node in ast.walk(tree)
        if _dotted(node) in {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    } | {
        name
        for name, tree in _sources().items()
        if {"os.environ", "os.environb", "os.getenv", "os.putenv"} & set(_imports(tree))
    }
    assert readers <= {"conf/environment.py"}


def test_random_numbers_come_from_an_explicit_generator() -> None:
    """With numpy's global generator a number would depend on the code that ran before."""
    wrong = []
    for name, tree in _sources_and_tests().items():
        used = [_dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        named = [re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", dotted) for dotted in (*used, *_imports(tree))]
        wrong += [f"{name}: {match[0]}" for match in named if match and match[1] not in RANDOM_SOURCES]
    assert wrong == []


def test_broad_excepts_are_few() -> None:
    broad = [
        f"{name}:{node.lineno}"
        for name, tree in _sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or _dotted(node.type) in {"Exception", "BaseException"})
    ]
    assert len(broad) <= MOST_BROAD_EXCEPTS, broad


@pytest.mark.parametrize("name", [_name(path) for path in _files_of(*LAYERS, "tests")])
def test_every_module_opens_with_a_docstring(name: str) -> None:
    tree = _sources_and_tests()[name]
    assert not tree.body or ast.get_docstring(tree)


def test_no_module_has_an_empty_name_such_as_utils() -> None:
    assert [name for name in _sources_and_tests() if EMPTY_NAMES & set(re.split(r"[/.]", name))] == []


def _literals(tree: ast.Module) -> Iterator[str]:
    """Yield the string literals of a module, without docstrings. An f-string gives its fixed parts."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_names_of_run_directory_files_are_in_one_place() -> None:
    names = {
        literal
        for module in NAMES_OF_FILES
        for literal in _literals(_sources()[module])
        if re.fullmatch(r"\.?\w+\.\w+", literal)
    }
    assert {"plan.json", "manifest.json", "meta.json", "quantization_comparison.json", "mlflow.db"} <= names
    spelled = re.compile(rf"(?:\S*[/.])?(?:{'|'.join(map(re.escape, names))})")
    wrong = [
        f"{module}: {literal}"
        for module, tree in _sources().items()
        if module not in NAMES_OF_FILES
        for literal in _literals(tree)
        if spelled.fullmatch(literal)
    ]
    assert wrong == []


def test_only_the_store_looks_for_files_in_the_storage() -> None:
    """Other modules must call `exists` of `conf.files`, because `Path.exists` does not work on an object store."""
    askers = {
        module
        for module, tree in _sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"exists", "is_file", "glob", "rglob"}
    }
    assert askers <= set().union(*SEES_OTHER_FILES.values())


def _own_text_files() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*")):
        if NOT_OURS & set(path.relative_to(ROOT).parts) or not path.is_file():
            continue
        try:
            yield _name(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a binary file


def test_no_file_contains_a_package_index_or_a_machine_path() -> None:
    """The pip settings of the machine choose the package index. Paths on one machine do not exist on others."""
    hosts = "|".join(re.escape(".".join(parts)) for parts in (("pypi", "org"), ("pythonhosted", "org")))
    folders = "|".join(("root", "home", "work", "Users"))
    forbidden = re.compile(rf"{hosts}|(?<!emit)--(?:extra-)?index-url|--find-links|(?<![\w.~$}}/*-])/(?:{folders})/")
    wrong = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in _own_text_files()
        if name != _name(Path(__file__))
        for number, line in enumerate(text.splitlines(), 1)
        if forbidden.search(line)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module",
    ["jobs.pipeline", "jobs.quantize", "jobs.evaluate", "jobs.collect_imatrix", "actors.orchestrator.actor"],
)
def test_a_job_starts_without_packages_that_only_a_worker_or_the_mirror_needs(module: str) -> None:
    """Each of them takes up to two seconds to import, in every process."""
    heavy = [
        "altair",
        "math_verify",
        "mlflow",
        "openai",
        "pandas",
        "scipy.stats",
        "vl_convert",
        "weasyprint",
        "ziamath",
    ]
    script = f"import sys, {module}; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
