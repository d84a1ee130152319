from pathlib import Path

from visiond.edgetpu.crash_memory import CrashMemory, Pair
from visiond.edgetpu.library import identity

SEGV = "died of SIGSEGV while the delegate was created"


def pair_of(path: Path, runtime: str = "LiteRT 2.3.0", library: str = "libedgetpu 16.0") -> Pair:
    return Pair(runtime, identity(path), library)


def test_fault_20_a_pair_that_crashed_three_times_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "libedgetpu.so.1"
    path.write_text("one")
    memory = CrashMemory()
    for _ in range(3):
        assert memory.verdict(pair_of(path)) is None
        memory.note(pair_of(path), SEGV)
    verdict = memory.verdict(pair_of(path))
    assert verdict is not None
    assert verdict.startswith(f"libedgetpu 16.0 with LiteRT 2.3.0: {SEGV}, 3 times in a row; ")
    assert "install a pair that does (libedgetpu 16.0 with TFLite up to 2.11.1" in verdict
    assert "then it is tried again by itself" in verdict


def test_fault_20_a_library_that_was_replaced_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "libedgetpu.so.1"
    path.write_text("one")
    memory = CrashMemory()
    for _ in range(3):
        memory.note(pair_of(path), SEGV)
    (tmp_path / "new").write_text("another")
    (tmp_path / "new").replace(path)
    assert memory.verdict(pair_of(path)) is None


def test_fault_20_another_runtime_is_another_pair(tmp_path: Path) -> None:
    memory = CrashMemory()
    for _ in range(3):
        memory.note(pair_of(tmp_path), SEGV)
    assert memory.verdict(pair_of(tmp_path, "tflite-runtime 2.14.0")) is None


def test_what_the_library_is_called_tells_nothing_apart(tmp_path: Path) -> None:
    """Its version is known only once it was loaded, which may be what kills."""
    memory = CrashMemory()
    for _ in range(3):
        memory.note(pair_of(tmp_path, library="libedgetpu"), SEGV)
    assert str(memory.verdict(pair_of(tmp_path, library="libedgetpu 16.0"))).startswith("libedgetpu 16.0 with")


def test_crashes_before_a_success_do_not_count(tmp_path: Path) -> None:
    memory = CrashMemory()
    for _ in range(5):
        memory.note(pair_of(tmp_path), SEGV)
        memory.note(pair_of(tmp_path), SEGV)
        memory.forget(pair_of(tmp_path))
        assert memory.verdict(pair_of(tmp_path)) is None


def test_crashes_of_two_kinds_are_both_told(tmp_path: Path) -> None:
    memory = CrashMemory()
    for reason in (SEGV, "died of SIGABRT before that", "died of SIGSEGV at the first inference"):
        memory.note(pair_of(tmp_path), reason)
    verdict = str(memory.verdict(pair_of(tmp_path)))
    assert "died of SIGSEGV at the first inference (before: died of SIGABRT before that), 3 times in a row" in verdict
