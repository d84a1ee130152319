"""Report: what a bench has measured, where and with what; as JSON, and read back to be compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from visiond.errors import DataError, NoInputError
from visiond.modelkit.bench.timings import Interval, Timing

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a file of the package, by its key, on one runtime.

    `kernels`: xnnpack or builtin (XNNPACK off), None where the runtime has its own. `device` is None on the CPU.
    """

    file: str
    runtime: str
    threads: int
    kernels: str | None
    device: str | None

    @property
    def delegate(self) -> str:
        """What computes most of it, in the field's words."""
        if self.device is not None:
            return f"Edge TPU {self.device}"
        return "XNNPACK" if self.kernels == "xnnpack" else "none"

    @property
    def name(self) -> str:
        """As it is called in a sentence."""
        delegate = "no delegate" if self.delegate == "none" else self.delegate
        return f"{self.runtime}, {delegate}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One subject's times. `invoke` alone, in a loop that does nothing else; the others on the whole way of a frame.

    `whole` is preprocess, invoke, reading the outputs and decode in one thread, one after the other. `rss_mb` is the
    process's memory at the end, `peak_rss_mb` the most that it had. `version` is the runtime's and the library's.
    """

    subject: Subject
    version: str
    invoke: Timing
    whole: Timing
    preprocess: Timing
    whole_invoke: Timing
    decode: Timing
    load_ms: float
    first_invoke_ms: float
    rss_mb: float
    peak_rss_mb: float
    remark: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A subject that could not be measured, and why, in a sentence."""

    subject: Subject
    text: str


@dataclass(frozen=True, slots=True)
class ToolMeasured:
    """LiteRT's benchmark tool next to our loop.

    `ratio` is ours of the tool's: the median over the turns, in each of which the two follow each other, so that what
    slows the machine for longer than a turn is not in it. `min_ratio` is that of the least: what a busy machine hardly
    touches; None where the tool does not tell it. `statistic`: what the tool tells of a turn, median or mean.
    """

    subject: Subject
    tool: str
    statistic: str
    runs: int
    tool_p50_ms: float
    our_p50_ms: float
    ratio: float
    ratio_interval: Interval
    min_ratio: float | None
    tool_turn_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """All operators of one name: the median over the invokes of their time together. `delegated`: by the delegate."""

    name: str
    count: int
    p50_ms: float
    share: float
    delegated: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of one invoke goes; `source` is who tells it, `remark` why nobody does."""

    subject: Subject
    source: str | None
    invokes: int
    operators: tuple[OperatorTime, ...]
    remark: str | None


@dataclass(frozen=True, slots=True)
class Drift:
    """An invoke loop of minutes. `first_p50_ms` and `last_p50_ms` are of its first and last tenth.

    `series_p50_ms` are the medians of twenty equal parts of the time. What the board does not tell is None or empty.
    """

    subject: Subject
    seconds: float
    invokes: int
    first_p50_ms: float
    last_p50_ms: float
    series_p50_ms: tuple[float, ...]
    first_temperature_c: float | None
    highest_temperature_c: float | None
    first_cpu_mhz: float | None
    lowest_cpu_mhz: float | None
    throttling: tuple[str, ...] | None

    @property
    def ratio(self) -> float:
        """How many times as long an invoke takes at the end."""
        return self.last_p50_ms / self.first_p50_ms


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured. `load_1min` at the beginning: what else it had to do."""

    name: str
    architecture: str
    cpus: int
    kernel: str
    python: str
    opencv: str
    load_1min: float | None
    temperature_c: float | None
    throttled: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. `sha256` has the checksum of each file that was measured, by its key in `files`."""

    format: int
    visiond: str
    package: str
    sha256: dict[str, str]
    frame: str
    rounds: int
    began: str
    machine: Machine
    measured: tuple[Measured, ...]
    failed: tuple[Failure, ...]
    tool: tuple[ToolMeasured, ...]
    tool_failure: str | None
    profiles: tuple[Profile, ...]
    drift: Drift | None


def as_json(report: Report) -> dict[str, Any]:
    """The fields as they are named above."""
    return asdict(report)


def load_report(path: Path) -> Report:
    """Read what `--save` has written. Raises NoInputError or DataError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NoInputError(
            f"--compare {path}: cannot be read ({reason}); give a file that --save has written"
        ) from error
    try:
        found = json.loads(text)
        if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
            raise DataError(
                f"--compare {path}: is of format {found['format']!r}, this visiond reads {FORMAT}; "
                "measure again with one version"
            )
        return TypeAdapter(Report).validate_python(found)  # what --json prints beside it is passed over
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"--compare {path}: is not a bench's result: {where}: {first['msg']}; give a file that --save has written"
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"--compare {path}: is no JSON ({error}); give a file that --save has written") from error
