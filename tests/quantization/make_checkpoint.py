"""Make a small Llama checkpoint with transformers. Run it with the Python of the converter's environment.

    python make_checkpoint.py FOLDER DTYPE

The model has random weights, rows of 256, and a SentencePiece vocabulary with a token for each byte. The script imports
nothing from this project.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import sentencepiece
import torch
from transformers import LlamaConfig, LlamaForCausalLM

TEXT = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. 0 1 2 3 4 5 6 7 8 9"


def write_checkpoint(folder: Path, dtype: torch.dtype) -> None:
    folder.mkdir(parents=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split(". ") * 20),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    vocabulary = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary.vocab_size(),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder, max_shard_size="1MB")


if __name__ == "__main__":
    write_checkpoint(Path(sys.argv[1]), getattr(torch, sys.argv[2]))
