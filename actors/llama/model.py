"""A loaded GGUF: its vocabulary, metadata and weights, or vocabulary and metadata only."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType

import llama_cpp

from actors.llama import library
from actors.llama.buffers import size_lines
from actors.llama.devices import DeviceUse
from actors.llama.no_room import load_error
from actors.llama.offload import Offload


class Model:
    """One `llama_model`. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        path: str | Path,
        *,
        vocab_only: bool = False,
        gpu_layers: int = 0,
        devices: DeviceUse | None = None,
        check_tensors: bool = False,
    ) -> None:
        """Load a GGUF.

        Args:
            vocab_only: do not load the weights.
            gpu_layers: number of layers to offload to devices. -1: all.
            devices: the devices to offload to. None: all that this process may use.
            check_tensors: refuse a file with values that are not finite.

        Raises:
            NoRoomError: there is no memory for the weights.
            LlamaError: llama.cpp cannot load the file, or the devices are not there. The error includes the last
                lines of llama.cpp's log.
        """
        library.start()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = vocab_only
        offload = Offload(gpu_layers, devices)
        offload.set(params)
        params.check_tensors = check_tensors
        # Do not repack weights. Repacking uses AMX, and some virtual machines report AMX but crash on its first
        # instruction (llama.cpp's own programs crash there too). Weights that are not repacked stay memory-mapped.
        params.use_extra_bufts = False
        with library.captured_log() as log:
            self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise load_error(path, log)
        self.path = str(path)
        self.size_lines = size_lines(log)
        """What llama.cpp logged about the memory of the weights."""
        self.vocab = llama_cpp.llama_model_get_vocab(self.handle)
        self.selects_logits = offload.selects_logits
        """True if the highest logits can be selected where they are made."""

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the weights. Close all contexts of this model first."""
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None

    @property
    def n_vocab(self) -> int:
        return int(llama_cpp.llama_vocab_n_tokens(self.vocab))

    @property
    def n_ctx_train(self) -> int:
        """Context length from training, in tokens. With `vocab_only` llama.cpp has only the metadata value."""
        stated = self.metadata(f"{self.metadata('general.architecture')}.context_length")
        return int(stated) if stated else int(llama_cpp.llama_model_n_ctx_train(self.handle))

    @property
    def has_sliding_window(self) -> bool:
        """True if some layers use sliding window attention."""
        return int(llama_cpp.llama_model_n_swa(self.handle)) > 0

    @property
    def adds_bos(self) -> bool:
        return bool(llama_cpp.llama_vocab_get_add_bos(self.vocab))

    @property
    def bos(self) -> int:
        return int(llama_cpp.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> int:
        """End-of-sequence token; -1 if the vocabulary has none."""
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
        """Return a metadata value as text, or None if the file does not have the key."""
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

        Args:
            add_special: add BOS if the model wants it. EOS is never added, whatever the model wants, because the model
                continues the text from its end.
            parse_special: read special tokens such as `<|im_end|>` in the text as tokens, not as plain characters.
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
        """Return the bytes of one token. They may be only a part of a UTF-8 character."""
        buffer = ctypes.create_string_buffer(64)
        length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:length]
