"""Strict YAML: what is read, what is refused, and that each refusal points at its very character."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from visiond.errors import ConfigError, NoInputError
from visiond.yaml_source import MAX_BYTES, MAX_PROBLEMS_SHOWN, load
from visiond.yaml_tree import MAX_DEPTH, MAX_NODES

Write = Callable[[str | bytes], Path]


class Anything(BaseModel):
    """Takes every key, so that what is refused was refused by the reader."""

    model_config = ConfigDict(extra="allow")


class Camera(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    fps: float = Field(default=1, ge=0, le=240)
    source: str


class Cameras(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    cameras: dict[str, Camera]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "a.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(path: Path) -> dict[str, Any]:
    return load(path).validate(Anything).model_dump()


def problems(path: Path, model: type[BaseModel] = Anything) -> list[str]:
    """What is wrong, one line each, without the file's folder."""
    with pytest.raises(ConfigError) as caught:
        load(path).validate(model)
    assert caught.value.exit_code == 78
    return str(caught.value).replace(f"{path}:", "").split("\n")


YAML_1_2 = [
    ("no", "no"),
    ("yes", "yes"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    ("010", 10),
    ("-010", -10),
    ("+7", 7),
    ("0o10", 8),
    ("0x1F", 31),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("1e3", 1000.0),
    ("1E-2", 0.01),
    (".5", 0.5),
    ("5.", 5.0),
    ("-0.0", -0.0),
    ("2001-12-14", "2001-12-14"),
    ("~", None),
    ("null", None),
    ("NULL", None),
    ("", None),
    ("nUll", "nUll"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRue", "tRue"),
    ("False", False),
    ("=", "="),
    ("0o8", "0o8"),
    ("0xg", "0xg"),
    (".", "."),
    ("e3", "e3"),
    ("'5'", "5"),
    ('"true"', "true"),
    ('""', ""),
    ("9223372036854775807", 2**63 - 1),
    ("0" * 300 + "5", 5),
]


@pytest.mark.parametrize(("written", "meant"), YAML_1_2)
def test_fault_45_a_scalar_means_what_yaml_1_2_says(write: Write, written: str, meant: object) -> None:
    value = read(write(f"key: {written}\n"))["key"]
    assert value == meant
    assert type(value) is type(meant)


def test_lists_groups_and_text_of_several_lines_are_read(write: Write) -> None:
    text = "a:\n- 1\n- [2, {b: c}]\nd: |\n  one\n  two\ne: >-\n  folded\n  text\n'f g': {}\n"
    assert read(write(text)) == {"a": [1, [2, {"b": "c"}]], "d": "one\ntwo\n", "e": "folded text", "f g": {}}


@pytest.mark.parametrize("text", ["", "\n", "# only this\n", "---\n", "---\n...\n", "\ufeff# saved on Windows\r\n"])
def test_a_file_without_content_is_an_empty_group(write: Write, text: str) -> None:
    assert read(write(text)) == {}


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\r\nb: x\r\n", "--- # start\na: 1\nb: x\n", "a: 1\t# a tab before\n"[:4] + "\nb: x"]
)
def test_byte_order_mark_crlf_and_document_start_change_nothing(write: Write, text: str) -> None:
    assert read(write(text)) == {"a": 1, "b": "x"}


@pytest.mark.parametrize("text", ["a: 1 # one\ttwo\n", "#\ta\nb: 1\n", "a: 1 #\t\t\n"])
def test_a_tab_in_a_comment_is_left_alone(write: Write, text: str) -> None:
    assert list(read(write(text)).values()) == [1]


REFUSED = [
    # duplicate keys: the second one is shown
    ("a: 1\nb: 2\na: 3\n", "3:1: a: is given a second time (first on line 1), keep one of them"),
    ("a:\n  b: 1\n  b: 2\n", "3:3: a.b: is given a second time (first on line 2), keep one of them"),
    ('a: {b: 1, "b": 2}', "1:11: a.b: is given a second time (first on line 1), keep one of them"),
    # sharing and types of YAML
    ("a: &x 1\n", "1:4: a: an anchor (&) is not supported, remove it"),
    ("a: &x [1]\n", "1:4: a: an anchor (&) is not supported, remove it"),
    ("&x a: 1\n", "1:1: a: an anchor (&) or tag (!) is not supported, remove it"),
    ("a: *x\n", "1:4: a: an alias (*) is not supported, write the value out"),
    ("a: [1, *x]\n", "1:8: a[1]: an alias (*) is not supported, write the value out"),
    ("*x : 1\n", "1:1: (top level): an alias (*) is not supported, write the value out"),
    ("a: !!str 1\n", "1:4: a: a tag (!) is not supported, remove it, or put text that begins with ! in quotes"),
    ("a: !secret x\n", "1:4: a: a tag (!) is not supported, remove it, or put text that begins with ! in quotes"),
    ("a: ! x\n", "1:4: a: a tag (!) is not supported, remove it, or put text that begins with ! in quotes"),
    ("a: !!python/object/apply:os.system [ls]\n", "1:4: a: a tag (!) is not supported, remove it"),
    ("a: !nobody!x 1\n", "1:4: a: a tag (!) is not supported, put text that begins with ! in quotes"),
    ("a:\n  <<: {b: 1}\n", '2:3: a."<<": a merge key (<<) is not supported, write the keys out'),
    ("%YAML 1.1\n---\na: 1\n", "1:1: (top level): a % directive is not supported, remove the line"),
    ("%TAG ! tag:x,2000:\n---\na: 1\n", "1:1: (top level): a % directive is not supported, remove the line"),
    ("%\n---\na: 1\n", "1:1: (top level): a % directive is not supported, remove the line"),
    ("a: 1\n---\nb: 2\n", "2:1: (top level): a second document begins here, keep one"),
    ("a: 1\n...\n---\n", "3:1: (top level): a second document begins here, keep one"),
    # keys
    ("1: a\n", "1:1: 1: a key must be text, put it in quotes"),
    ("a:\n  true: b\n", "2:3: a.true: a key must be text, put it in quotes"),
    ("~: b\n", '1:1: "~": a key must be text, put it in quotes'),
    (": b\n", "1:1: (top level): a key is missing before this colon, write it"),
    ("1e3: b\n", "1:1: 1e3: a key must be text, put it in quotes"),
    (".inf: b\n", "1:1: .inf: a key must be text, put it in quotes"),
    ("9" * 1000 + ": b\n", f'1:1: "{"9" * 60}…": a key must be text, put it in quotes'),
    ("? [a]\n: b\n", "1:3: (top level): a key must be plain text"),
    ("? {a: b}\n: c\n", "1:3: (top level): a key must be plain text"),
    # numbers
    ("a: .inf\n", "1:4: a: is not a finite number, give one that is"),
    ("a: -.INF\n", "1:4: a: is not a finite number, give one that is"),
    ("a: [1, .NaN]\n", "1:8: a[1]: is not a finite number, give one that is"),
    ("a: 1e999\n", "1:4: a: is too large for a number, give a smaller one"),
    ("a: 9223372036854775808\n", "1:4: a: is too large for a whole number, give one of at most 18 digits"),
    ("a: 0x8000000000000000\n", "1:4: a: is too large for a whole number, give one of at most 18 digits"),
    # characters
    ("a:\n\t- 1\n", "2:1: (top level): a tab, use spaces"),
    ("a: 1\n  \tb: 2\n", "2:3: (top level): a tab, use spaces"),
    ("a:\t1\n", "1:3: (top level): a tab, use spaces"),
    ("a: 'x\ty'\n", "1:6: (top level): a tab, use spaces"),
    ("a: x#\ty\n", "1:6: (top level): a tab, use spaces"),
    ("a: \x1b[31m\n", "1:4: (top level): a control character, remove it"),
    ("a: 1\rb: 2\n", "1:5: (top level): a control character, remove it"),
    ("a: 1\r", "1:5: (top level): a control character, remove it"),
    ("a: x\x85y\n", "1:5: (top level): a control character, remove it"),
    ("ü: x\u2028y\n", "1:5: (top level): a control character, remove it"),
    ("a: x\ufeffy\n", "1:5: (top level): a control character, remove it"),
    ("a: \x00\n", "1:4: (top level): a control character, remove it"),
    ('a: "\\x1b[31m"\n', "1:4: a: holds a control character, remove it"),
    ('a: "\\ud800"\n', "1:4: a: holds a control character, remove it"),
    ('"\\0": 1\n', '1:1: "\\u0000": holds a control character, remove it'),
    # what a hand gets wrong
    ("a: b: c\n", '1:5: (top level): ": " cannot stand here: indent as the lines above, or put the text in quotes'),
    ("a: 1\n b: 2\n", '2:3: (top level): ": " cannot stand here: indent as the lines above'),
    ("a:\n  b: 1\n c: 2\n", "3:2: (top level): cannot stand here, begin it in the same column as the keys above"),
    ("a:\n  b: [1, 2\nc: 3\n", "2:6: a.b: this [ is never closed, or a comma is missing behind it"),
    ("a: {b: 1\nc: 3\n", "1:4: a: this { is never closed, or a comma is missing behind it"),
    ("a: 'b\nc: 3\n", "1:4: a: the quotation mark is never closed, close it"),
    ('a: "b\n---\nc"\n', "1:4: a: the quotation mark is never closed, close it"),
    ("a: 1\nb\nc: 2\n", '2:1: (top level): not a key with a value, write "key: value"'),
    ("a: @b\n", "1:4: a: a value cannot begin with this character, put it in quotes"),
    ("a: %b\n", "1:4: a: a value cannot begin with this character, put it in quotes"),
    ("a: `b`\n", "1:4: a: a value cannot begin with this character, put it in quotes"),
    ("a: *\n", "1:5: a: & and * mean anchors, put text that begins with them in quotes"),
    ('a: "C:\\dir"\n', "1:8: a: an unknown \\ escape, put the text in single quotes"),
    ("a: 'it's'\n", "1:8: (top level): nothing can follow a value, put the whole of it in quotes"),
    ("a: [1] 2\n", "1:8: (top level): nothing can follow a value, put the whole of it in quotes"),
    ("a: [1,,2]\n", "1:7: a: a value is missing before this, or put text that begins with it in quotes"),
    (
        "a: |z\n",
        "1:5: a: not YAML here (expected chomping or indentation indicators, but found 'z'), correct this line",
    ),
    ("a: - 1\n", "1:4: a: an item of a list cannot stand here, put it on a line of its own"),
    ("a:\n  - 1\n - 2\n", "3:2: (top level): cannot stand here, begin it in the same column as the keys above"),
    ('a: "\\UFFFFFFFF"\n', "1:7: a: a number here is out of YAML's range, correct it"),
    ("hello\n", '1:1: (top level): the file must hold keys with values, such as "key: value"'),
    ("# x\n\n- 1\n", '3:1: (top level): the file must hold keys with values, such as "key: value"'),
    ("&x\n", "1:1: (top level): an anchor (&) is not supported, remove it"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED, ids=[text[:24] for text, _ in REFUSED])
def test_fault_45_what_cannot_be_read_in_one_way_is_refused_at_its_place(write: Write, text: str, problem: str) -> None:
    lines = problems(write(text))
    assert len(lines) == 1
    assert lines[0].startswith(problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfea\x00:\x00", "1:1: (top level): is not UTF-8 text, save the file as UTF-8"),
        ("ä: ü\nb: ".encode() + b"\xe4\n", "2:4: (top level): is not UTF-8 text, save the file as UTF-8"),
        (b"a: \xed\xa0\x80\n", "1:4: (top level): is not UTF-8 text, save the file as UTF-8"),
        (b"\xef\xbb\xbfa: \xff\n", "1:4: (top level): is not UTF-8 text, save the file as UTF-8"),
    ],
)
def test_bytes_that_are_not_utf_8_are_shown(write: Write, content: bytes, problem: str) -> None:
    assert problems(write(content)) == [problem]


def test_fault_46_billion_laughs_ends_at_its_first_sharing(write: Write) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    lines = problems(write("\n".join(["l0: &l0 lol", *levels])))
    assert lines[0] == "1:5: l0: an anchor (&) is not supported, remove it"
    assert lines[1] == "2:5: l1: an anchor (&) is not supported, remove it"
    assert lines[2] == "2:10: l1[0]: an alias (*) is not supported, write the value out"
    assert len(lines) == 10 + 9 * 9


def test_fault_46_depth_is_limited_to_the_character(write: Write) -> None:
    deepest = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert list(read(write(deepest))) == ["a"]
    (line,) = problems(write("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH))
    assert line.startswith(f"1:{3 + MAX_DEPTH}: a[0]")
    assert line.endswith(f": nested more than {MAX_DEPTH} deep, make it flatter")


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "a: {", "[{a: "])
def test_fault_46_endless_nesting_is_no_recursion_error(write: Write, opening: str) -> None:
    lines = problems(write(opening * (60_000 // len(opening))))
    assert "deep, make it flatter" in lines[-1] or "must hold keys" in lines[-1] or "cannot stand here" in lines[-1]


def test_fault_46_a_number_of_5000_digits_is_no_value_error(write: Write) -> None:
    assert problems(write("a:\n  b: " + "9" * 5000)) == [
        "2:6: a.b: is too large for a whole number, give one of at most 18 digits"
    ]
    assert read(write("a: '" + "9" * 5000 + "'"))["a"] == "9" * 5000


def test_fault_46_more_values_than_any_configuration_needs(write: Write) -> None:
    values = "a: [" + ",".join(["1"] * (MAX_NODES - 2)) + "]"
    assert len(read(write(values))["a"]) == MAX_NODES - 2
    (line,) = problems(write(values[:-1] + ",1]"))
    assert line == f"1:{len(values) + 1}: a[{MAX_NODES - 2}]: more than {MAX_NODES} values, shorten the file"


def test_fault_46_more_than_64_kib(write: Write) -> None:
    assert len(read(write("a: " + "x" * (MAX_BYTES - 3)))["a"]) == MAX_BYTES - 3
    assert problems(write("b: 1\na: " + "x" * (MAX_BYTES - 7))) == [
        f"2:{MAX_BYTES - 4}: (top level): the file is over 64 KiB, shorten it"
    ]


def test_a_file_that_never_ends_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert problems(path) == ["1:65537: (top level): the file is over 64 KiB, shorten it"]


def test_every_problem_comes_at_once_and_in_the_order_of_the_file(write: Write) -> None:
    text = "cameras:\n  a:\n    fps: 500\n    fps: &x 3\n    sourse: [*y]\n  1: {}\n  b: {source: 5}\n  c: !!str\n"
    assert problems(write(text), Cameras) == [
        "2:3: cameras.a.source: is missing, give text",
        "3:10: cameras.a.fps: 500 is out of range, give 0 to 240",
        "4:5: cameras.a.fps: is given a second time (first on line 3), keep one of them",
        "4:10: cameras.a.fps: an anchor (&) is not supported, remove it",
        "5:5: cameras.a.sourse: unknown key, did you mean source?",
        "5:14: cameras.a.sourse[0]: an alias (*) is not supported, write the value out",
        "6:3: cameras.1: a key must be text, put it in quotes",
        "7:15: cameras.b.source: 5 is not text, put it in quotes",
        "8:6: cameras.c: a tag (!) is not supported, remove it, or put text that begins with ! in quotes",
    ]


def test_a_flood_of_problems_is_cut_and_counted(write: Write) -> None:
    lines = problems(write("".join(f"k{n}: *x\n" for n in range(MAX_PROBLEMS_SHOWN + 20))))
    assert len(lines) == MAX_PROBLEMS_SHOWN + 1
    assert lines[-1].strip() == "20 more problems, mend these first"


def test_the_caller_places_what_only_it_can_know(write: Write) -> None:
    path = write("# x\ngolden:\n  - {image: a.jpg}\nfiles:\n  cpu: {path: b}\n")
    document = load(path)
    assert document.problem(("golden", 0, "image"), "is missing") == f"{path}:3:13: golden[0].image: is missing"
    assert document.problem("files.cpu.path", "is empty") == f"{path}:5:15: files.cpu.path: is empty"
    assert document.problem("files.cpu", "is odd", at_key=True) == f"{path}:5:3: files.cpu: is odd"
    assert document.problem("files.cpu.sha256", "is missing") == f"{path}:5:3: files.cpu.sha256: is missing"
    assert document.problem("labels", "is missing") == f"{path}:2:1: labels: is missing"
    document.report("files", "is reported")
    with pytest.raises(ConfigError, match="5:3: files: is reported"):
        document.validate(Anything)


def test_validators_learn_the_folder(write: Write) -> None:
    path = write("a: 1\n")
    assert load(path).folder == path.parent
    assert load(Path(os.path.relpath(path))).folder.resolve() == path.parent.resolve()


def test_a_problem_is_one_line_whatever_it_tells_of(write: Write) -> None:
    path = write("a: 1")
    assert load(path).problem("a", "b\nc\x1b[31m") == f"{path}:1:4: a: b\\nc\\x1b[31m"


# what is no file


def test_a_missing_file_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"nowhere\.yaml: no such file, create it or give another path$") as caught:
        load(tmp_path / "nowhere.yaml")
    assert caught.value.exit_code == 66


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NoInputError, match="fifo: is not a regular file but a device, pipe or socket, give a regular"):
        load(tmp_path / "fifo")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_unopened(device: str) -> None:
    with pytest.raises(NoInputError, match="is not a regular file"):
        load(Path(device))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"is a folder, give the file in it$"):
        load(tmp_path)


def test_a_file_below_a_file_a_nul_and_an_endless_name_are_refused(write: Write) -> None:
    path = write("a: 1")
    for strange in (path / "x", Path("a\0b"), path.with_name("x" * 300)):
        with pytest.raises(NoInputError, match=r"cannot be read|no such file"):
            load(strange)


def test_a_file_that_may_not_be_read_is_no_input(write: Write) -> None:
    path = write("a: 1")
    path.chmod(stat.S_IWUSR)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(NoInputError, match=r"may not be read by this user, change its owner or mode$"):
            load(path)
    finally:
        os.seteuid(user)


# whatever the text

LINE = re.compile(r"(\d+):(\d+): (.+?): (.+)")
yamlish = st.text(
    st.sampled_from([*"abn019.:-?[]{},&*!|>'\"%@`#\\/~<=_+ \t\n\r", "\u2028", "é", "😀", "\x00", "\ufeff"]), max_size=60
)
soup = st.lists(
    st.sampled_from(
        [
            *("a", "cameras", "models", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "&x ", "*x"),
            *("!!str ", "'", '"', "|\n", ">\n", "# ", "1e3", "0x", ".inf", "9" * 5000, "<<", "---\n", "...\n"),
            *("%YAML 1.2\n", "? ", "\\U", "\t"),
        ]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(yamlish, soup, st.text(max_size=60), st.binary(max_size=60)))
@example("a: |2-\n\n  x\n y")
@example("[\r")
@example("? ? ? a")
@example("{? }")
@example("[?: ]")
@example("'\n\n'")
@example("!<a")
@example("a: !<%f> b")
@example("!!%c3%28 a")
@example("- - - - ")
@example("%\n---\n")
@example("%TAG !a!\n---\n")
@example("a: |99\n b")
@example('"\\x"')
@example('a: "\\U00110000"')
def test_any_text_is_read_or_refused_inside_its_bounds(content: str | bytes) -> None:
    path = Path(os.environ["PYTEST_FUZZ_FILE"])
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        load(path).validate(Cameras)
    except ConfigError as error:
        rows = path.read_bytes().decode("utf-8-sig", "replace").split("\n")
        for line in str(error).split("\n"):
            match = LINE.fullmatch(line.removeprefix(f"{path}:"))
            assert match is not None, line
            row, column = int(match[1]), int(match[2])
            assert 1 <= row <= len(rows)
            assert 1 <= column <= len(rows[row - 1]) + 1


@pytest.fixture(autouse=True, scope="module")
def fuzz_file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_FUZZ_FILE", str(tmp_path_factory.mktemp("fuzz") / "f.yaml"))
        yield
