"""A loaded GGUF: its vocabulary, its metadata, and (unless only the vocabulary was asked for) its weights."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType

import llama_cpp

from actors.errors import LlamaError
from actors.llama import library


class Model:
    """Owns one `llama_model`; use it as a context manager, or call `close`."""

    def __init__(
        self, path: str | Path, *, vocab_only: bool = False, gpu_layers: int = 0, check_tensors: bool = False
    ) -> None:
        """Load `path`. `gpu_layers` -1 offloads all layers; `check_tensors` refuses rows that are not finite.

        Raises `LlamaError` with the log's last lines.
        """
        library.start()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = gpu_layers
        params.check_tensors = check_tensors
        # No repacked weights: some virtual machines announce AMX and then fault on its first instruction, which kills
        # the process (llama.cpp's own programs die there, too). Without, weights stay mapped from the file.
        params.use_extra_bufts = False
        with library.captured_log() as log:
            self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise LlamaError(f"llama.cpp cannot load {path}", log[-5:])
        self.path = str(path)
        self.vocab = llama_cpp.llama_model_get_vocab(self.handle)

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the weights. Contexts made from this model must be closed before."""
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None

    @property
    def n_vocab(self) -> int:
        return int(llama_cpp.llama_vocab_n_tokens(self.vocab))

    @property
    def n_ctx_train(self) -> int:
        """Tokens; llama.cpp itself does not read it with the vocabulary alone."""
        stated = self.metadata(f"{self.metadata('general.architecture')}.context_length")
        return int(stated) if stated else int(llama_cpp.llama_model_n_ctx_train(self.handle))

    @property
    def slides(self) -> bool:
        """Whether some of its layers attend to a sliding window."""
        return int(llama_cpp.llama_model_n_swa(self.handle)) > 0

    @property
    def adds_bos(self) -> bool:
        return bool(llama_cpp.llama_vocab_get_add_bos(self.vocab))

    @property
    def bos(self) -> int:
        return int(llama_cpp.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> int:
        """-1 where the vocabulary has none."""
        return int(llama_cpp.llama_vocab_eos(self.vocab))

    @property
    def pad(self) -> int:
        """Return the padding token, or -1 if the vocabulary has none."""
        return int(llama_cpp.llama_vocab_pad(self.vocab))

    @property
    def unk(self) -> int:
        """Return the token for unknown text, or -1 if the file names none."""
        return int(self.metadata("tokenizer.ggml.unknown_token_id") or -1)

    def is_end_of_generation(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def metadata(self, key: str) -> str | None:
        """A metadata value as text, or None where the file has no such key."""
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        if length < 0:
            return None
        if length >= len(buffer):
            buffer = ctypes.create_string_buffer(length + 1)
            llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        return self.metadata("tokenizer.chat_template")

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return the tokens of `text`.

        `add_special` puts BOS in front if the model wants it. EOS is never added, whatever the model wants: the text is
        read on from where it ends. `parse_special` reads `<|...|>` as tokens.
        """
        raw = text.encode()
        size = len(raw) + 16
        tokens = (llama_cpp.llama_token * size)()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), tokens, size, add_special, parse_special)
        if count < 0:
            size = -count
            tokens = (llama_cpp.llama_token * size)()
            count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), tokens, size, add_special, parse_special)
        added = add_special and count > 0 and llama_cpp.llama_vocab_get_add_eos(self.vocab)
        return list(tokens[: count - 1 if added and tokens[count - 1] == self.eos else count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token: part of a UTF-8 character, maybe."""
        buffer = ctypes.create_string_buffer(64)
        length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:length]
