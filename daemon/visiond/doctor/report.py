"""Finding: what one check has seen, and for what is wrong its cause and its remedy; findings as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TextIO

from visiond import __version__

State = Literal["ok", "warn", "fail", "skipped"]

STATES: Final[tuple[State, ...]] = ("ok", "skipped", "warn", "fail")  # the last one counts most
_STYLES: Final = {"ok": "green", "skipped": "dim", "warn": "bold yellow", "fail": "bold red"}
_INDENT: Final = " " * 10
_LAST_WORDS: Final = "last words: "  # of a process that has died; `supervisor` puts them last


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result, each text one sentence. `cause` and `remedy` are None where nothing is wrong.

    `data` holds the numbers behind `seen`, for programs; only what JSON can hold.
    """

    group: str
    name: str
    state: State
    seen: str
    cause: str | None = None
    remedy: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as it stands in the JSON report; docs/hardware.md tells its fields."""
        return {
            "group": self.group,
            "name": self.name,
            "state": self.state,
            "seen": self.seen,
            "cause": self.cause,
            "remedy": self.remedy,
            "data": dict(self.data),
        }


def ok(group: str, name: str, seen: str, /, **data: Any) -> Finding:
    """Nothing is wrong."""
    return Finding(group, name, "ok", seen, data=data)


def skipped(group: str, name: str, why: str, /, **data: Any) -> Finding:
    """It was not looked at, and that is no fault; `why` says so."""
    return Finding(group, name, "skipped", why, data=data)


def wrong(group: str, name: str, state: State, seen: str, cause: str, remedy: str, /, **data: Any) -> Finding:
    """Something is wrong: `warn` where visiond works all the same, `fail` where a part of it cannot."""
    return Finding(group, name, state, seen, cause, remedy, data)


def split(sentence: str, default: str) -> tuple[str, str]:
    """Take apart a sentence of this program that is cause and remedy in one; `default` where it names no remedy.

    The remedy is what stands behind the last "; ". What a library has said may hold one too: it stands in parentheses,
    or behind "last words: ", and is never cut.
    """
    cause, found, remedy = sentence.rpartition("; ")
    is_within = remedy.count(")") > remedy.count("(") or _LAST_WORDS in sentence
    return (cause, remedy) if found and cause and remedy and not is_within else (sentence, default)


def worst(findings: Iterable[Finding]) -> State:
    """The state of the whole: fail, else warn, else ok."""
    states: list[State] = [finding.state for finding in findings]
    state: State = max(states, key=STATES.index, default="ok")
    return "ok" if state == "skipped" else state


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where everything works or works with warnings, 1 where something has failed."""
    return 1 if worst(findings) == "fail" else 0


def report(findings: Sequence[Finding], config: str, socket: str) -> dict[str, Any]:
    """The JSON report."""
    return {
        "visiond": __version__,
        "state": worst(findings),
        "config": config,
        "socket": socket,
        "checks": [finding.as_json() for finding in findings],
    }


class Printer:
    """Prints findings as they come, those of a group under its name; in colours on a terminal, where rich is."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._group: str | None = None
        self._console: Any = None
        if out.isatty():
            try:
                from rich.console import Console
            except ImportError:  # the extra `tools` is not installed
                return
            self._console = Console(file=out, highlight=False, soft_wrap=True)

    def show(self, finding: Finding) -> None:
        """Print one finding."""
        if finding.group != self._group:
            self._line(f"{'' if self._group is None else chr(10)}{finding.group}", "bold")
            self._group = finding.group
        self._line(f"  {finding.state:<7} ", _STYLES[finding.state], end="")
        self._line(f"{finding.name}: {finding.seen}")
        if finding.cause is not None:
            self._line(f"{_INDENT}why: {finding.cause}")
        if finding.remedy is not None:
            self._line(f"{_INDENT}do:  {finding.remedy}")

    def close(self, findings: Sequence[Finding]) -> None:
        """Print the sum."""
        counts = {state: sum(1 for finding in findings if finding.state == state) for state in STATES}
        state = worst(findings)
        self._line(f"\n{', '.join(f'{count} {state}' for state, count in counts.items() if count)}", _STYLES[state])

    def _line(self, text: str, style: str | None = None, end: str = "\n") -> None:
        if self._console is not None:
            self._console.print(text, style=style, end=end, markup=False)
        else:
            print(text, end=end, file=self._out, flush=True)
