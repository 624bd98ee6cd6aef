"""The table of facts about the models, as their files state them."""

from __future__ import annotations

from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, integer, listed, size_unit


def model_facts_table(findings: Findings, words: Words) -> Table:
    """Return one row per model: its base model, size, context, tokenizer, licence and languages.

    There are no rows if the results say nothing about any model, as those of older versions do.
    """
    has_stages = any(model.get("stage") for model in findings.models)
    columns = [
        (header(words, "model"), False),
        *([(words.say("学習段階", "Stage of training"), False)] if has_stages else []),
        (words.say("ベースモデル", "Base model"), False),
        (words.say("パラメータ数", "Parameters"), True),
        (words.say("ファイルサイズ(型)", "Size of the file (type)"), True),
        (words.say("コンテキスト長", "Context length"), True),
        (words.say("トークナイザー(語彙数)", "Tokenizer (vocabulary)"), False),
        (words.say("ライセンス", "Licence"), False),
        (words.say("言語", "Languages"), False),
    ]
    known = any(model.get("labels") for model in findings.models)
    rows = [_row(model, words, has_stages=has_stages) for model in findings.models if known]
    return make_table(columns, rows)


def _row(model: Json, words: Words, *, has_stages: bool) -> tuple[str, ...]:
    labels = model.get("labels") or {}
    unknown = f"{DASH} ({words.say('ファイルに記載なし', 'not in the file')})"
    context, vocabulary = labels.get("context_length"), labels.get("vocabulary")
    tokenizer = str(labels.get("tokenizer") or "")
    if tokenizer and vocabulary:
        tokenizer += words.say(f"({integer(vocabulary)})", f" ({integer(vocabulary)})")
    size = size_unit(model["size_bytes"] or 0).text(model["size_bytes"])
    licence = labels.get("license_name") or labels.get("license")
    return (
        str(model["name"]),
        *([str(model.get("stage") or DASH)] if has_stages else []),
        listed(words, map(str, labels.get("base_models") or ())) or unknown,
        integer(model["n_parameters"]),
        words.say(f"{size}({model['source_type']})", f"{size} ({model['source_type']})"),
        integer(context) if context else unknown,
        tokenizer or unknown,
        str(licence) if licence else unknown,
        listed(words, map(str, labels.get("languages") or ())) or unknown,
    )
