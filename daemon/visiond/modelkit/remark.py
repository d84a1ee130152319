"""Remark: what works and is probably not meant, or will be refused when the model is loaded."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding: the key of model.yaml that it belongs to; `text` says what, with numbers, and "; " what to do."""

    keypath: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.keypath))}: {self.text}"
