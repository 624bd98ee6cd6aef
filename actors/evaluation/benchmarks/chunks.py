"""Cut a text into chunks for perplexity, exactly as llama.cpp's `llama-perplexity` does.

The rule (tools/perplexity/perplexity.cpp of llama.cpp, function `perplexity`): the whole text is tokenized at once,
with the special tokens that the model adds. Only whole chunks count. If the model adds BOS, BOS replaces the first
token of each chunk. The logits from position 256 of 512 on are used, each for the token after it, so the tokens
257..511 are scored: 255 per chunk.
"""

from __future__ import annotations

from actors.evaluation.contract import LoaderInputs, RawData, RawItem, SourceFile
from actors.items import Measure
from actors.llama.model import Model
from conf.faults import BadInput, Fault

CONTEXT_TOKENS = 512


def chunk_items(text: str, vocabulary: Model) -> tuple[RawItem, ...]:
    """Return one item per whole chunk of `text`, in text order, with ids `chunk-00000`, ..."""
    tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)
    return tuple(
        RawItem(f"chunk-{number:05d}", _task(tokens[start : start + CONTEXT_TOKENS], vocabulary), None)
        for number, start in enumerate(range(0, len(tokens) - CONTEXT_TOKENS + 1, CONTEXT_TOKENS))
    )


def _task(tokens: list[int], vocabulary: Model) -> Measure:
    if vocabulary.adds_bos:
        tokens = [vocabulary.bos, *tokens[1:]]
    return Measure(tuple(tokens), first_scored=CONTEXT_TOKENS // 2 + 1)


def load_text(inputs: LoaderInputs, text: str, file: SourceFile) -> RawData:
    """Return the chunks of a text. Raise `BadInput` if it has none."""
    raw_items = chunk_items(text, inputs.vocabulary)
    if not raw_items:
        raise BadInput(Fault(file.name, "a shorter text", f"a text of at least {CONTEXT_TOKENS} tokens"))
    return RawData(raw_items, (file,))
