"""Row 52: nothing in the program reads the wall clock but what reports it, for a Pi's clock jumps after the boot."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

REPORTERS = {"bulletin.py": "wall_ns", "doctor/evidence.py": "wall_ns"}  # only as the value of a field of that name
SHOWN = {"watch.py": "strftime", "modelkit/bench/verb.py": "now"}  # the time of day, for the person who reads it
BANNED = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
REAL_CLOCKS = {"CLOCK_REALTIME", "CLOCK_REALTIME_COARSE", "CLOCK_TAI"}


def readings(source: str) -> Iterator[ast.AST]:
    """Every place that reads the wall clock, or takes a way to read it from a module."""
    tree = ast.parse(source)
    modules = {"time": "time", "datetime": "datetime", "date": "date"}  # local name: what it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname: alias.name for alias in node.names if alias.asname and alias.name in modules}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module == "datetime" and alias.name in BANNED:
                    modules[alias.asname or alias.name] = alias.name
                elif node.module == "time" and (alias.name in BANNED["time"] or alias.name in REAL_CLOCKS):
                    yield node
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", None)
            known = modules.get(owner or "")
            if node.attr in REAL_CLOCKS or (known is not None and node.attr in BANNED[known]):
                yield node


def reported(source: str, field: str) -> list[ast.AST]:
    """What is given for the field: as a keyword, or in a dict."""
    values: list[ast.AST] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == field:
            values.append(node.value)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values += [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == field]
    return values


def places(nodes: Sequence[ast.AST]) -> set[tuple[int, int]]:
    return {(node.lineno, node.col_offset) for node in nodes}  # type: ignore[attr-defined]


def test_fault_52_nothing_reads_the_wall_clock_but_what_reports_it(root: Path) -> None:
    package = root / "daemon" / "visiond"
    reporters = set()
    for path in sorted(package.rglob("*.py")):
        name, source = path.relative_to(package).as_posix(), path.read_text()
        found = list(readings(source))
        allowed = places(reported(source, REPORTERS[name])) if name in REPORTERS else set()
        shown = [node for node in found if isinstance(node, ast.Attribute) and node.attr == SHOWN.get(name)]
        lines = sorted(line for line, _ in places(found) - allowed - places(shown))
        assert not lines, (
            f"{name}, lines {lines}: use time.monotonic(); the wall clock jumps, and a Pi has none at boot"
        )
        if found:
            reporters.add(name)
    assert reporters == {*REPORTERS, *SHOWN}, "a file that no longer reads it needs no permission"


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nx = t.time_ns",
        "import time\ntime.strftime('%Y')",
        "import time\ntime.clock_gettime(time.CLOCK_REALTIME)",
        "from time import time",
        "from time import time as now",
        "import datetime\ndatetime.datetime.now()",
        "import datetime as d\nd.datetime.now()",
        "from datetime import datetime\ndatetime.now(tz)",
        "from datetime import datetime as d\nd.utcnow()",
        "from datetime import date\ndate.today()",
        "def f(g=None):\n    import time\n    return time.localtime()",
    ],
)
def test_each_way_to_read_it_is_seen(source: str) -> None:
    assert list(readings(source))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()\ntime.sleep(1)\ntime.perf_counter_ns()",
        "from time import monotonic",
        "class A:\n    time = 3\na = A().time",
        "from datetime import timedelta\ntimedelta(seconds=1)",
    ],
)
def test_other_clocks_are_free(source: str) -> None:
    assert not list(readings(source))


def test_a_report_of_it_is_its_field_and_nothing_beside() -> None:
    source = "import time\nf(wall_ns=time.time_ns(), late_s=time.time())\nd = {'wall_ns': time.time_ns()}"
    found, allowed = places(list(readings(source.replace("()", "")))), places(reported(source, "wall_ns"))
    assert len(found) == 3
    assert len(found - allowed) == 1
