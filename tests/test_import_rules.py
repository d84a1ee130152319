"""Who may import whom (DESIGN: imports run one way, and the parent loads no native code)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = {"numpy", "cv2", "ai_edge_litert", "PIL", "picamera2", "tflite_runtime", "onnxruntime", "tensorflow"}
# What runs in the parent: everything but what only a worker's process imports.
WORKER_ONLY = (
    "cameras/",
    "engine/",
    "modelkit/convert/child/",
    "modelkit/evaluation/",
    "modelkit/verify/",
    *(f"doctor/{name}.py" for name in ("agreement", "child_side", "trial_process")),
    *(
        f"modelkit/{name}.py"
        for name in ("runner", "bench/measure_process", "bench/profile_process", "bench/tool_process")
    ),
)
PARENTS_VIEW = (
    *(f"cameras/{name}.py" for name in ("__init__", "remote", "address")),
    *(f"engine/{name}.py" for name in ("__init__", "remote", "served", "accelerator", "fleet", "latency")),
)


def source_files(root: Path) -> list[Path]:
    return sorted((root / "daemon" / "visiond").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that the file imports, at its top or inside a function; type checking blocks count as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_source_root_is_no_package(root: Path) -> None:
    assert not (root / "daemon" / "__init__.py").exists()


def test_what_the_parent_runs_imports_no_native_library(root: Path) -> None:
    for path in source_files(root):
        name = path.relative_to(root / "daemon" / "visiond").as_posix()
        if name.startswith(WORKER_ONLY) and name not in PARENTS_VIEW:
            continue
        found = {module.split(".")[0] for module in imported(path)} & NATIVE
        assert not found, f"{name} imports {found}"


def test_imports_run_one_way(root: Path) -> None:
    """detection and tensors ← stages ← workers and service ← cli; stages take numbers, not Config."""
    for path in source_files(root):
        name = path.relative_to(root / "daemon" / "visiond").as_posix()
        modules = imported(path)
        if name not in ("cli.py", "__main__.py"):
            assert "visiond.cli" not in modules, f"{name} imports the command line"
            if name != "cli.py":
                assert "visiond.service" not in modules, f"{name} imports the service"
        if name in ("detection.py", "engine/tensors.py"):
            own = {module for module in modules if module.startswith("visiond") and module != "visiond.detection"}
            assert own <= {"visiond.errors"}, f"{name} stands at the beginning but imports {own}"
        if name.startswith(WORKER_ONLY):
            assert not {m for m in modules if m.startswith("visiond.config")}, f"{name} knows the configuration"


def test_the_robots_client_can_be_copied_alone(root: Path) -> None:
    modules = {module.split(".")[0] for module in imported(root / "daemon" / "visiond" / "client.py")}
    assert modules <= set(sys.stdlib_module_names), f"client.py needs {modules - set(sys.stdlib_module_names)}"


@pytest.mark.parametrize("module", ["visiond.service", "visiond.cli"])
def test_importing_the_parents_modules_loads_no_native_library(root: Path, module: str) -> None:
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {NATIVE!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(root / "daemon")},
        check=True,
    )
    assert done.stdout.strip() == "[]"
