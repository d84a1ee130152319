"""The error of a runtime that cannot be had here."""

from __future__ import annotations

from visiond.errors import VisiondError


class RuntimeUnavailable(VisiondError):
    """A runtime is not installed, does not work here, or was set aside: no fault of the model.

    `fact` is the short form, without the remedy; `runtime: auto` gives it as the reason to take another one.
    `remedy` is for who has configured this runtime by name.
    """

    exit_code = 69

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(f"{fact}; {remedy}")
        self.fact = fact
        self.remedy = remedy
