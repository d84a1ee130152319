import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.edgetpu.elf import ElfHead
from visiond.edgetpu.library import find_library, identity, library_problem, library_version, usb_ports
from visiond.edgetpu.loader_search import parse_cache
from visiond.errors import UnavailableError

NAME = "libedgetpu.so.1"
PROGRAM = Path("/proc/self/exe")

FAKE_LIBRARY = """
#include <stddef.h>
struct device { int type; const char *path; };
static struct device devices[] = {
    {1, "/sys/bus/usb/devices/2-2"}, {0, "/dev/apex_0"}, {1, "/sys/bus/usb/devices/2-1.4"}};
const char *edgetpu_version(void) { return "BuildLabel(N/A), RuntimeVersion(14)"; }
struct device *edgetpu_list_devices(size_t *n) { *n = 3; return devices; }
void edgetpu_free_devices(struct device *d) { d->path = NULL; }
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real library with what we call of libedgetpu's C interface."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "fake.c").write_text(FAKE_LIBRARY)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", NAME, "fake.c"], cwd=folder, check=True)
    return folder / NAME


def problem(path: Path) -> str:
    text = library_problem(path)
    assert text is not None
    assert "\n" not in text
    assert str(path) in text
    return text


def test_a_library_that_fits_has_no_problem(fake: Path) -> None:
    assert library_problem(fake) is None


def test_fault_20_a_missing_library_comes_with_the_command_that_installs_it(tmp_path: Path) -> None:
    assert problem(tmp_path / NAME).startswith(f"{tmp_path / NAME} does not exist: sudo apt install libedgetpu1-std")
    assert find_library(NAME, {}, tmp_path / "no-cache", tmp_path) is None
    assert problem(Path(NAME)).startswith(f"{NAME} is not installed: sudo apt install libedgetpu1-std")


def test_fault_20_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    assert f"{NAME} is empty: install it again: sudo apt install --reinstall" in problem(tmp_path / NAME)


def test_fault_20_what_is_no_library(tmp_path: Path, fake: Path) -> None:
    path = tmp_path / NAME
    path.write_text("<html>404 Not Found</html>" * 10)
    assert "is no library, it is no ELF file" in problem(path)
    path.write_bytes(fake.read_bytes()[:40])
    assert "it is no ELF file" in problem(path)
    path.unlink()
    path.mkdir()
    assert "is not a file" in problem(path)


def test_fault_20_a_download_that_broke_off(tmp_path: Path, fake: Path) -> None:
    """At every length: never taken for whole while the loader could not load it, and never an exception."""
    path, whole = tmp_path / NAME, fake.read_bytes()
    end = ElfHead.read(fake).length
    for length in sorted({*range(1, 1200, 7), end // 2, end - 1}):
        path.write_bytes(whole[:length])
        assert "install it again" in problem(path), length
    path.write_bytes(whole[:end])
    assert library_problem(path) is None


@pytest.mark.parametrize(
    ("patches", "architecture"),
    [
        ({18: struct.pack("<H", 183)}, "64-bit ARM"),
        ({18: struct.pack("<H", 243)}, "machine 243, 64 bits"),
    ],
)
def test_fault_20_another_architecture_is_named_with_the_one_needed(
    tmp_path: Path, fake: Path, patches: dict[int, bytes], architecture: str
) -> None:
    data = bytearray(fake.read_bytes())
    for offset, patch in patches.items():
        data[offset : offset + len(patch)] = patch
    path = tmp_path / NAME
    path.write_bytes(data)
    needed = ElfHead.read(PROGRAM).architecture
    if needed == architecture:
        pytest.skip("this machine is of that architecture")
    assert f"is for {architecture} and this Python needs {needed}: sudo apt install" in problem(path)


def test_fault_20_a_32_bit_library_on_a_64_bit_kernel(tmp_path: Path, fake: Path) -> None:
    """What counts is the Python that runs, not the kernel: a 32-bit Raspberry Pi OS has a 64-bit one."""
    head = (
        b"\x7fELF"
        + bytes([1, 1, 1])
        + bytes(9)
        + struct.pack("<HHIIIIIHHHHHH", 3, 40, 1, 0, 52, 0, 0, 52, 32, 0, 0, 0, 0)
    )
    path = tmp_path / NAME
    path.write_bytes(head + bytes(64))
    assert "is for 32-bit ARM and this Python needs" in problem(path)
    assert library_problem(path, program=path) is None
    assert "this Python needs 32-bit ARM" in str(library_problem(fake, program=path))


def test_fault_20_a_program_is_no_library(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }")
    program = tmp_path / NAME
    subprocess.run(["cc", "-no-pie", "-o", str(program), str(source)], check=True)
    assert "is no shared library" in problem(program)


def test_fault_20_a_broken_link_names_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to("libedgetpu.so.1.0")
    assert "is a link to libedgetpu.so.1.0, which does not exist" in problem(tmp_path / NAME)


def test_fault_20_a_file_that_may_not_be_read(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, _: str) -> None:
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "open", refused)
    assert problem(fake) == f"{fake} cannot be read (Permission denied): sudo chmod a+r {fake}"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_head_or_are_refused(tmp_path_factory: pytest.TempPathFactory, tail: bytes, wide: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any.so"
    path.write_bytes(b"\x7fELF" + bytes([2 if wide else 1, 1]) + tail)
    text = library_problem(path)
    assert text is None or str(path) in text


def test_the_loaders_places_in_its_order(tmp_path: Path, fake: Path) -> None:
    by_variable, by_cache, by_default = (tmp_path / name for name in ("variable", "cached", "usr/lib"))
    for folder in (by_variable, by_cache, by_default):
        folder.mkdir(parents=True)
        shutil.copy(fake, folder / NAME)
    cache = tmp_path / "ld.so.cache"
    cache.write_bytes(loader_cache({"libedgetpu.so.10": "/wrong", NAME: str(by_cache / NAME)}))
    environ = {"LD_LIBRARY_PATH": f":{tmp_path}/nothing:{by_variable}"}
    for folder in (by_variable, by_cache, by_default):
        assert find_library(NAME, environ, cache, tmp_path) == folder / NAME
        (folder / NAME).unlink()
    assert find_library(NAME, environ, cache, tmp_path) is None


def test_a_library_that_cannot_be_used_is_passed_over(tmp_path: Path, fake: Path) -> None:
    """As the loader does with one of another architecture; but where there is no other it is the one to mend."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / NAME).write_bytes(b"")
    environ = {"LD_LIBRARY_PATH": f"{tmp_path}/one:{tmp_path}/two"}
    assert find_library(NAME, environ, tmp_path / "no-cache", tmp_path) == tmp_path / "one" / NAME
    shutil.copy(fake, tmp_path / "two" / NAME)
    assert find_library(NAME, environ, tmp_path / "no-cache", tmp_path) == tmp_path / "two" / NAME


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.so"
    assert find_library(str(path)) is None
    path.touch()
    assert find_library(str(path)) == path


def test_this_machines_own_cache_is_read() -> None:
    cache = Path("/etc/ld.so.cache")
    if not cache.exists():
        pytest.skip("this system has no ldconfig cache")
    (path, *_) = parse_cache(cache.read_bytes(), "libc.so.6")
    assert library_problem(path) is None


def loader_cache(libraries: dict[str, str]) -> bytes:
    strings, entries = b"", b""
    start = 48 + 24 * len(libraries)
    for name, path in libraries.items():
        key, value = start + len(strings), start + len(strings) + len(name) + 1
        strings += f"{name}\0{path}\0".encode()
        entries += struct.pack("=iIIIQ", 0x303, key, value, 0, 0)
    return b"glibc-ld.so.cache1.1" + struct.pack("=I24x", len(libraries)) + entries + strings


names = st.text(st.characters(codec="ascii", categories=["L", "Nd"], include_characters="/.-_"), min_size=1)


@given(st.dictionaries(names, names, min_size=1), st.sampled_from([b"", b"ld.so-1.7.0\0 of an older glibc"]))
def test_every_cached_path_is_found(libraries: dict[str, str], older: bytes) -> None:
    data = older + loader_cache(libraries)
    for name, path in libraries.items():
        assert parse_cache(data, name) == [Path(path)]


@given(st.binary(max_size=400))
def test_a_damaged_cache_holds_nothing_or_paths(tail: bytes) -> None:
    for data in (tail, b"glibc-ld.so.cache1.1" + tail):
        assert all(isinstance(path, Path) for path in parse_cache(data, "a"))


def ask(root: Path, call: str, path: Path) -> str:
    """Load a library as only a process that may die does."""
    code = f"from pathlib import Path; from visiond.edgetpu.library import {call}; print({call}(Path({str(path)!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_library_tells_its_version(root: Path, fake: Path) -> None:
    assert ask(root, "library_version", fake) == "BuildLabel(N/A), RuntimeVersion(14)"


def test_the_library_tells_its_own_order_of_sticks(root: Path, fake: Path) -> None:
    assert ask(root, "usb_ports", fake) == "('2-2', '2-1.4')"


def test_fault_20_another_library_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text("int nothing;")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "other.so", "other.c"], cwd=tmp_path, check=True)
    with pytest.raises(UnavailableError, match="has no edgetpu_version, it is not libedgetpu"):
        library_version(tmp_path / "other.so")
    with pytest.raises(UnavailableError, match="does not exist"):
        usb_ports(tmp_path / "none.so")


def test_fault_20_a_library_that_lacks_another_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int needed(void) { return 1; }")
    (tmp_path / "y.c").write_text("int needed(void); int user(void) { return needed(); }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "libx.so", "x.c"], cwd=tmp_path, check=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "liby.so", "y.c", "-L.", "-lx"], cwd=tmp_path, check=True)
    with pytest.raises(UnavailableError, match=r"cannot be loaded: libx\.so"):
        library_version(tmp_path / "liby.so")


def test_a_replaced_file_has_another_identity(tmp_path: Path, fake: Path) -> None:
    path = tmp_path / NAME
    assert identity(path) is None
    shutil.copy2(fake, path)
    before = identity(path)
    assert before is not None
    assert before == identity(path)
    shutil.copy2(fake, tmp_path / "new")
    (tmp_path / "new").replace(path)
    assert identity(path) != before
