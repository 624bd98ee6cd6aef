"""The weights that a worker holds: each file once, whatever number of contexts decodes with it."""

from __future__ import annotations

from collections.abc import Sequence

from actors.llama.devices import DeviceUse
from actors.llama.layout import EngineLayout
from actors.llama.model import Model

_Place = tuple[str, int, DeviceUse | None]
"""A GGUF's path, how many of its layers are on devices, and on which ones."""


class LoadedModels:
    """Loads models and keeps them. Close their contexts before a call that may free them."""

    def __init__(self) -> None:
        self._models: dict[_Place, Model] = {}

    def open(self, wanted: Sequence[tuple[str, EngineLayout]]) -> list[Model]:
        """Return the models of these files, placed as these layouts say.

        All others are freed first, because there may be no room for both. Raise `LlamaError` as `Model` does.
        """
        places = [(path, layout.gpu_layers, layout.devices) for path, layout in wanted]
        for place in self._models.keys() - set(places):
            self._models.pop(place).close()
        for path, gpu_layers, devices in places:
            if (path, gpu_layers, devices) not in self._models:
                self._models[path, gpu_layers, devices] = Model(path, gpu_layers=gpu_layers, devices=devices)
        return [self._models[place] for place in places]

    def close(self) -> None:
        """Free all models."""
        self.open(())
