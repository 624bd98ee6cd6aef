"""The PowerShell sources without a PowerShell: what their syntax trees prove.

`test_on_powershell.py` runs them where there is a PowerShell.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from reporting.terminal.progress_words import PHASES, PROBLEMS, STATES, WORDS
from reporting.wording import VERDICTS
from tests.monitor.replay import HERE
from tests.ps.sources import (
    MODULE,
    PRIVATE,
    PUBLIC,
    SCRIPTS,
    SOURCES,
    Function,
    code,
    commands,
    functions,
    inside,
    strings,
    text,
    tree,
)

ROOT = MODULE.parents[1]
MODULE_FUNCTIONS = {one.name: one for path in (*PUBLIC, *PRIVATE) for one in functions(path)}
TEST_FUNCTIONS = {one.name: one for path in SCRIPTS for one in functions(path)}
# Those used here, of the list that `Get-Verb` prints.
APPROVED_VERBS = {
    "Clear",
    "Compare",
    "Connect",
    "ConvertFrom",
    "ConvertTo",
    "Find",
    "Format",
    "Get",
    "Invoke",
    "Join",
    "Limit",
    "Measure",
    "New",
    "Open",
    "Read",
    "Select",
    "Send",
    "Show",
    "Split",
    "Start",
    "Stop",
    "Test",
    "Wait",
    "Watch",
    "Write",
}
COMMON = {"ErrorAction", "WhatIf", "Confirm", "Verbose"}
# Cmdlets and their parameters in Windows PowerShell 5.1. A parameter that only version 7 has is listed too, if the file
# that uses it checks the version first.
CMDLETS: dict[str, set[str]] = {
    "Add-Type": {"AssemblyName"},
    "ConvertFrom-Json": set(),
    "ConvertTo-Csv": {"NoTypeInformation"},
    "ConvertTo-Json": {"InputObject", "Depth", "Compress"},
    "Export-ModuleMember": {"Function", "Alias"},
    "ForEach-Object": set(),
    "Get-ChildItem": {"LiteralPath", "Filter", "Force", "Directory"},
    "Get-Command": {"Name", "Module", "CommandType"},
    "Get-Help": {"Name", "Full"},
    "Get-Module": {"Name"},
    "Get-Process": {"Id"},
    "Import-Module": {"Force"},
    "Invoke-Item": {"LiteralPath"},
    "New-Object": {"ArgumentList"},
    "Out-String": {"Width"},
    "Register-ArgumentCompleter": {"CommandName", "ParameterName", "ScriptBlock"},
    "Select-Object": {"First", "Last", "Property", "ExcludeProperty"},
    "Set-Alias": {"Name", "Value"},
    "Set-StrictMode": {"Version"},
    "Sort-Object": {"Property", "Unique", "CaseSensitive"},
    "Start-Process": {"FilePath"},
    "Start-Sleep": {"Milliseconds"},
    "Where-Object": set(),
    "Write-Host": set(),
    "Write-Progress": set(),
    "Write-Verbose": set(),
    "Write-Warning": set(),
}
AUTOMATIC = {
    "_",
    "PID",
    "PSCmdlet",
    "PSScriptRoot",
    "PSVersionTable",
    "null",
    "true",
    "false",
    "args",
    "LASTEXITCODE",
    "ErrorActionPreference",
}
MODULE_VARIABLES = {"ModuleVersion", "DefaultAddress", "Texts", "Widths"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_parses_without_an_error(path: Path) -> None:
    wrong = [(node.start_point[0] + 1, text(node)) for node in inside(tree(path)) if node.is_error or node.is_missing]
    assert wrong == []


@pytest.mark.parametrize("source", ["$a ? 1 : 2", "$a ?? 3", "$a ??= 3", "$a?.b", "ls && ls", "ls || ls"])
def test_the_grammar_tells_the_syntax_of_version_7(source: str, tmp_path: Path) -> None:
    path = tmp_path / "new.ps1"
    path.write_text(f"$x = {source}\n" if "?" in source else source)
    assert any(node.is_error or node.type == "pipeline_chain_tail" for node in inside(tree(path)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_windows_powershell_reads_it(path: Path) -> None:
    assert path.read_bytes().isascii()
    assert list(inside(tree(path), "pipeline_chain_tail")) == []
    words = code(path)
    assert re.findall(r"`(?:e|u\{)", words) == []
    assert re.findall(r"\$(?:PSStyle|IsWindows|IsLinux|IsMacOS|IsCoreCLR)\b", words) == []
    assert re.findall(r"(?i)\bclean\s*\{|^\s*using\s", words, re.MULTILINE) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_command_and_parameter_exists(path: Path) -> None:
    """Our own functions have the parameters that they are given; all other commands are in 5.1, with theirs."""
    own = {**MODULE_FUNCTIONS, **(TEST_FUNCTIONS if path in SCRIPTS else {})}
    for call in commands(tree(path)):
        if not call.name or call.name.startswith(("$", "(", "[")) or path.suffix == ".psd1":
            continue
        where = f"{path.name}:{call.line}: {call.name}"
        if call.name == "Get-PipelineProgress":
            continue
        if call.name in own:
            allowed = {*own[call.name].parameters, *(COMMON if call.name in {one.stem for one in PUBLIC} else ()), "Id"}
            assert len(call.words) <= len(own[call.name].parameters), where
        else:
            assert call.name in CMDLETS, where
            allowed = CMDLETS[call.name] | COMMON | {"Descending"}
        assert {name.removeprefix("-").split(":")[0] for name in call.named} - allowed == set(), where


@pytest.mark.parametrize("name", sorted({**MODULE_FUNCTIONS, **TEST_FUNCTIONS}))
def test_every_variable_has_a_value_before_it_is_read(name: str) -> None:
    """Under strict mode, reading a variable that has none is an error."""
    function = {**MODULE_FUNCTIONS, **TEST_FUNCTIONS}[name]
    known = {one.lower() for one in (*function.parameters, *AUTOMATIC, *_assigned(function))}
    if name in TEST_FUNCTIONS:
        known |= {"module", "tally", "server", "run", "root", "shell", "pipelineid", "rest", "token", "updateinterval"}
        known |= {"language"}
    for node in inside(function.node, "variable"):
        variable = text(node).lstrip("$@").strip("{}")
        scope, _, rest = variable.rpartition(":")
        if scope == "script":
            assert rest in MODULE_VARIABLES, variable
        elif scope == "env":
            assert rest in {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}, variable
        else:
            assert variable.lower() in known, f"{name}: ${variable}"


def _assigned(function: Function) -> set[str]:
    """Return the variables that a function sets, by assignment or as those of a loop or of a script block."""
    found = {
        text(node).removeprefix("$")
        for left in inside(function.node, "left_assignment_expression")
        for node in inside(left, "variable")
    }
    for loop in inside(function.node, "foreach_statement"):
        found.add(text(next(child for child in loop.children if child.type == "variable")).removeprefix("$"))
    for parameter in inside(function.node, "script_parameter"):
        found.add(text(next(child for child in parameter.children if child.type == "variable")).removeprefix("$"))
    return found


def test_each_file_has_one_function_with_its_name_and_an_approved_verb() -> None:
    for path in (*PUBLIC, *PRIVATE):
        assert [one.name for one in functions(path)] == [path.stem]
    for name in (*MODULE_FUNCTIONS, *TEST_FUNCTIONS):
        verb, _, noun = name.partition("-")
        assert verb in APPROVED_VERBS, name
        assert noun, name


def test_each_private_function_says_what_it_does() -> None:
    for path in PRIVATE:
        first = path.read_text(encoding="ascii").splitlines()[1].strip()
        assert first.startswith("# ") and len(first) > 20, path.name


def test_the_exports_are_the_public_functions() -> None:
    names = sorted(path.stem for path in PUBLIC)
    manifest = (MODULE / "QuantAssay.psd1").read_text(encoding="ascii")
    listed = re.search(r"FunctionsToExport = @\((.*?)\)", manifest, re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r"'([^']+)'", listed[1])) == names
    (export,) = [one for one in commands(tree(MODULE / "QuantAssay.psm1")) if one.name == "Export-ModuleMember"]
    assert sorted(re.findall(r"'([^']+)'", export.words[0])) == names
    assert re.findall(r"'([^']+)'", export.words[1]) == ["Get-PipelineProgress"]
    assert "AliasesToExport   = @('Get-PipelineProgress')" in manifest


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_each_export_has_help_with_examples_and_each_parameter(path: Path) -> None:
    source = path.read_text(encoding="ascii")
    found = re.search(r"<#(.*?)#>", source, re.DOTALL)
    assert found is not None
    parts = re.split(r"^\.([A-Z]+)(?: (\w+))?\n", found[1].lstrip("\n"), flags=re.MULTILINE)[1:]
    help_of = [(kind, name, body.strip()) for kind, name, body in zip(*[iter(parts)] * 3, strict=True)]
    assert all(body for _, _, body in help_of)
    kinds = [kind for kind, _, _ in help_of]
    assert kinds.count("SYNOPSIS") == kinds.count("DESCRIPTION") == 1
    examples = [body for kind, _, body in help_of if kind == "EXAMPLE"]
    assert len(examples) >= 2
    assert all(path.stem in body or "Get-PipelineProgress" in body for body in examples)
    (function,) = functions(path)
    assert {name for kind, name, _ in help_of if kind == "PARAMETER"} == set(function.parameters)


def test_what_changes_something_asks_before() -> None:
    for name in ("Stop-QuantJob", "Start-QuantJob", "Open-QuantReport"):
        source = (MODULE / "Public" / f"{name}.ps1").read_text(encoding="ascii")
        assert "SupportsShouldProcess = $true" in source
        assert "$PSCmdlet.ShouldProcess(" in source


def test_only_the_viewer_writes_to_the_host() -> None:
    writers = {
        path.stem for path in (*PUBLIC, *PRIVATE) if any(call.name == "Write-Host" for call in commands(tree(path)))
    }
    assert writers == {"Show-QuantizationProgress", "Show-View"}


def test_strict_mode_is_on_everywhere() -> None:
    for path in (MODULE / "QuantAssay.psm1", *SCRIPTS):
        assert "Set-StrictMode -Version Latest" in path.read_text(encoding="ascii"), path.name


def _keys(value: Any) -> set[str]:
    """Return the names of all fields in a JSON value."""
    if isinstance(value, dict):
        return set(value) | set().union(*(_keys(one) for one in value.values())) if value else set()
    return set().union(*(_keys(one) for one in value)) if isinstance(value, list) and value else set()


def _recorded() -> tuple[set[str], set[str]]:
    """Return the paths that are asked for in the conversations, and the fields of the recorded answers."""
    paths: set[str] = set()
    fields: set[str] = set()
    for path in HERE.glob("*/conversation.json"):
        for exchange in json.loads(path.read_text(encoding="utf-8"))["exchanges"]:
            paths.add(urlsplit(exchange["path"]).path)
            if path.parent.name.startswith(("recorded_", "token_")):
                for answer in exchange["answers"]:
                    fields |= _keys(answer.get("json"))
                    if answer.get("body", "").startswith(("[", "{")):
                        fields |= _keys(json.loads(answer["body"]))
    return paths, fields


READERS = {
    "Get-Field",
    "Get-String",
    "Get-Number",
    "Get-Count",
    "Get-Interval",
    "Select-JsonObject",
    "Select-JsonString",
}
# Fields of GPUs are known from Ray's source: the machine of the recordings has none. `ja` and `en` are languages.
GPU_FIELDS = {"index", "name", "utilizationGpu", "memoryUsed", "memoryTotal"}


def test_every_path_is_one_that_a_dashboard_answers() -> None:
    paths, _ = _recorded()
    asked = set()
    for source in (*PUBLIC, *PRIVATE):
        asked |= {one.split("?")[0] for one in strings(tree(source)) if one.startswith(("api/", "nodes"))}
    patterns = {
        re.sub(r"\\\{\d\\\}", "[^/]+", re.escape(one)) + (".*" if one.endswith("/gcs/") else "") for one in asked
    }
    assert len(patterns) >= 5
    # `api/v0/logs` alone tells an answer about a log from others.
    unknown = [one for one in patterns if not any(re.fullmatch(one, path) for path in paths)]
    assert unknown == [re.escape("api/v0/logs")]


def test_every_field_is_one_that_a_dashboard_or_the_pipeline_gives() -> None:
    _, known = _recorded()
    for kind in ("progress", "result"):
        schema = json.loads((ROOT / "reporting" / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
        known |= _properties(schema)
    # `data` and `summary` are around the nodes.
    known |= GPU_FIELDS | {"ja", "en", "working_on", "stopped"}
    asked = set()
    for path in (*PUBLIC, *PRIVATE):
        for call in commands(tree(path)):
            if call.name in READERS and call.words and re.fullmatch(r"'\w+'", call.words[-1]):
                asked.add(call.words[-1].strip("'"))
    assert len(asked) >= 40
    assert asked - known == set()


def _properties(schema: Any) -> set[str]:
    """Return the names of all properties that a JSON Schema describes."""
    if isinstance(schema, list):
        return set().union(*map(_properties, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | set().union(*map(_properties, schema.values()))


def test_every_word_and_problem_is_known() -> None:
    groups = {"phases": PHASES, "states": STATES, "verdicts": VERDICTS, "problems": PROBLEMS}
    for path in (*PUBLIC, *PRIVATE):
        for call in commands(tree(path)):
            if call.name == "Format-Text" and not call.words[0].startswith("$"):
                assert call.words[0].strip("'") in WORDS, call
            if call.name == "Get-Text" and not call.named:
                assert call.words[0].strip("'") in groups, call
        for one in re.findall(r"-Problem '(\w+)'|[Pp]roblem = '(\w+)'|Problem -eq '(\w+)'", path.read_text()):
            assert "".join(one) in PROBLEMS, path.name


def test_a_started_job_has_the_environment_of_the_documented_command() -> None:
    documented = yaml.safe_load((ROOT / "conf" / "runtime_env.yaml").read_text(encoding="utf-8"))
    source = (MODULE / "Public" / "Start-QuantJob.ps1").read_text(encoding="ascii")
    found = re.search(r"env_vars = @\{(.*?)\}", source)
    assert found is not None
    assert dict(re.findall(r"(\w+) = '([^']*)'", found[1])) == documented["env_vars"]


@pytest.mark.parametrize("language", ["en-US", "ja-JP"])
def test_the_topic_names_every_command_and_has_a_bom(language: str) -> None:
    content = (MODULE / language / "about_QuantAssay.help.txt").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    words = content.decode("utf-8-sig")
    assert [path.stem for path in PUBLIC if path.stem not in words] == []
    assert "RAY_AUTH_TOKEN" in words


def test_the_page_shows_commands_that_exist() -> None:
    page = (ROOT / "conf" / "docs" / "powershell.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```powershell\n(.*?)```", page, re.DOTALL))
    shown = set(re.findall(r"\b[A-Z][a-z]+-(?:Quant\w*|ResourceUsage|PipelineProgress)", blocks))
    known = {path.stem for path in PUBLIC} | {"Get-PipelineProgress", "Monitor-QuantizationProgress"}
    assert shown and shown <= known
