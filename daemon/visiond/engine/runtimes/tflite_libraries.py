"""The libraries that run TFLite models. They share one interface; what differs is how each is found and constructed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.engine.edgetpu import LoadDelegate
from visiond.engine.runtimes.installed import import_runtime, pip, version_of
from visiond.engine.runtimes.kernels import RESOLVERS, Kernels
from visiond.engine.runtimes.unavailable import RuntimeUnavailable

Construct = Callable[[Path, int, Sequence[Any], Kernels], Any]  # → the library's own Interpreter

_AUTO: Final = "set runtime: auto, which takes what is installed"  # Coral's own pycoral is for Python up to 3.9
_TFLITE_RUNTIME_PYTHON: Final = (3, 11)  # the last one that tflite-runtime 2.14 on PyPI is made for


@dataclass(frozen=True, slots=True)
class TfliteLibrary:
    """One library, imported. `version` is its name and version, as it is reported."""

    version: str
    construct: Construct
    load_delegate: LoadDelegate


def litert() -> TfliteLibrary:
    """LiteRT, the maintained one. Raises RuntimeUnavailable."""
    module = import_runtime("ai_edge_litert.interpreter", "LiteRT", pip("install ai-edge-litert"))
    version = f"LiteRT {version_of('ai-edge-litert', module)}"
    return TfliteLibrary(version, _constructor(module), module.load_delegate)


def tflite_runtime() -> TfliteLibrary:
    """tflite-runtime, what libedgetpu's builds were made for. Raises RuntimeUnavailable.

    That it can be imported does not mean that it works: the one that wants numpy < 2 fails when it is constructed.
    """
    module = import_runtime(
        "tflite_runtime.interpreter",
        "tflite-runtime",
        # Alone it draws numpy 2, with which it does not work; and newer OpenCV wants that.
        pip("install tflite-runtime 'numpy<2' 'opencv-python-headless<4.12'")
        if sys.version_info[:2] <= _TFLITE_RUNTIME_PYTHON
        else _AUTO,
    )
    version = f"tflite-runtime {version_of('tflite-runtime', importlib.import_module('tflite_runtime'))}"
    return TfliteLibrary(version, _constructor(module), module.load_delegate)


def pycoral() -> TfliteLibrary:
    """Google's or feranick's pycoral, on the runtime that it imports itself. Raises RuntimeUnavailable."""
    _refuse_another_pycoral()
    module = import_runtime("pycoral.utils.edgetpu", "pycoral", _AUTO)
    version = version_of("pycoral", module)
    if "delegate" not in inspect.signature(module.make_interpreter).parameters:
        raise RuntimeUnavailable(f"pycoral {version} cannot be given a delegate with options", _AUTO)
    # Google's names the runtime's module `tflite`; feranick's imports the two names themselves.
    base = module if hasattr(module, "load_delegate") else module.tflite
    plain = _constructor(base)

    def construct(path: Path, threads: int, delegates: Sequence[Any], kernels: Kernels) -> Any:
        made = module.make_interpreter(str(path), delegate=delegates[0]) if delegates else None
        # feranick's returns None for every error: the same call without it fails as well, and says why.
        return made if made is not None else plain(path, threads, delegates, kernels)

    below = base.Interpreter.__module__.partition(".")[0]
    below_version = version_of(below, importlib.import_module(below))
    version = f"pycoral {version} on {below.replace('_', '-')} {below_version}"
    return TfliteLibrary(version, construct, base.load_delegate)


def _constructor(module: Any) -> Construct:
    """`module` has the class Interpreter; a module of a few names takes the rest from where the class was made."""

    def construct(path: Path, threads: int, delegates: Sequence[Any], kernels: Kernels) -> Any:
        more = {}
        if kernels != "xnnpack":
            resolvers = sys.modules[module.Interpreter.__module__].OpResolverType
            more["experimental_op_resolver_type"] = resolvers[RESOLVERS[kernels]]
        return module.Interpreter(
            model_path=str(path), num_threads=threads, experimental_delegates=list(delegates) or None, **more
        )

    return construct


def _refuse_another_pycoral() -> None:
    """Look at the files without importing them: PyPI's pycoral is a command line for the Allen Coral Atlas."""
    spec = importlib.util.find_spec("pycoral")
    if spec is None:
        raise RuntimeUnavailable("pycoral is not installed", _AUTO)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not any((folder / "utils" / "edgetpu.py").is_file() for folder in folders):
        where = spec.origin or ", ".join(map(str, folders))
        raise RuntimeUnavailable(
            f"the installed pycoral is PyPI's GIS tool of that name ({where})",
            f"{pip('uninstall pycoral')}, and {_AUTO}",
        )
