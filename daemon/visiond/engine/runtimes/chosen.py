"""Who is told which runtime was chosen, before it does anything that may be its last."""

from __future__ import annotations

from collections.abc import Callable

Chosen = Callable[[str, str], None]  # the runtime's name, as the configuration has it; the versions in words
OnVersions = Callable[[str], None]  # the versions in words


def untold(_runtime: str, _versions: str) -> None:
    """For who does not want to know."""
