"""The kinds of value in the configuration: how each is checked and, for paths, where a relative one starts.

A validator here says in its ValueError what is wrong and what to give; the reader puts place and key before it. The
file's folder comes in `info.context["folder"]`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from visiond.cameras.address import SourceAddress, absolute
from visiond.edgetpu.device_name import parse_devices
from visiond.places import MAX_SOCKET_PATH_BYTES
from visiond.zones import MAX_POINTS, polygon_fault

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
NAMED: Final[dict[str, Any]] = {"propertyNames": {"pattern": f"^{_NAME.pattern}$"}}
_OCTAL: Final = re.compile(r"0?[0-7]{3}")


def check_name(name: str) -> str:
    """Return the name of a camera, zone or model; raises ValueError when it is none."""
    if not _NAME.fullmatch(name):
        raise ValueError("is not a possible name, give 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit")
    return name


def _octal(mode: object) -> int:
    if not isinstance(mode, str) or not _OCTAL.fullmatch(mode):
        raise ValueError('is not a file mode, give three octal digits in quotes, such as "0660"')
    return int(mode, 8)


def _whole(value: object) -> object:
    """Keep `false` and `0.0` from passing for 0: a Literal compares with ==."""
    return value if type(value) is int else str(value)


def _folder(info: ValidationInfo) -> Path:
    return Path(info.context["folder"]) if info.context else Path()


def _path(path: object, info: ValidationInfo) -> object:
    if path == "":
        raise ValueError("is empty, give a path")
    return absolute(path, _folder(info)) if isinstance(path, str) else path


def _socket_path(path: Path) -> Path:
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"has {length} bytes with its folder, the system allows {MAX_SOCKET_PATH_BYTES}: give a shorter path"
        )
    return path


def _source(source: str, info: ValidationInfo) -> str:
    return str(SourceAddress.parse(source).under(_folder(info)))


def _package(package: str, info: ValidationInfo) -> str:
    return str(absolute(package, _folder(info))) if "/" in package else package


def _devices(text: str) -> str:
    parse_devices(text)
    return text


def _library(library: str, info: ValidationInfo) -> str:
    return str(absolute(library, _folder(info))) if "/" in library else library


def _polygon(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if fault := polygon_fault(points):
        raise ValueError(fault)
    return points


Name = Annotated[str, AfterValidator(check_name)]
ConfigPath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
SocketPath = Annotated[ConfigPath, AfterValidator(_socket_path)]
OctalMode = Annotated[
    int, BeforeValidator(_octal), WithJsonSchema({"type": "string", "pattern": f"^{_OCTAL.pattern}$"})
]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=32, le=8192)]
Size = Annotated[tuple[Side, Side], Field(strict=False)]  # strict would ask for a tuple, and YAML gives a list
Rotation = Annotated[Literal[0, 90, 180, 270], BeforeValidator(_whole)]
Source = Annotated[str, AfterValidator(_source)]
PackagePath = Annotated[str, AfterValidator(_package)]
Devices = Annotated[str, AfterValidator(_devices)]
Library = Annotated[str, AfterValidator(_library)]
Point = Annotated[tuple[Fraction, Fraction], Field(strict=False, title="[x, y] as fractions of the frame")]
Polygon = Annotated[
    tuple[Point, ...],
    Field(strict=False, json_schema_extra={"minItems": 3, "maxItems": MAX_POINTS}),
    AfterValidator(_polygon),
]
