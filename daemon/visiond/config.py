"""Config: what visiond.yaml says. One frozen model per section; each field's description tells its meaning and unit.

Paths and sources come out absolute: a relative one starts from the folder of the file that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from visiond.cameras.address import FORMS, SourceAddress
from visiond.config_values import (
    NAMED,
    ConfigPath,
    Devices,
    Fraction,
    Library,
    Name,
    OctalMode,
    PackagePath,
    Polygon,
    Rotation,
    Size,
    SocketPath,
    Source,
)
from visiond.contradictions import report_contradictions
from visiond.places import default_models_path, default_socket_path
from visiond.schema_field import UntitledSchema
from visiond.yaml_source import load


class _Section(BaseModel):
    """Unknown keys are refused, and nothing is converted: "30" is no number, and true is no 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Socket(_Section):
    """The Unix socket that clients read."""

    path: SocketPath = Field(
        default_factory=default_socket_path,
        description="Path of the socket, at most 107 bytes. Left out: /run/visiond/visiond.sock for the system's "
        "daemon; visiond.sock in $XDG_RUNTIME_DIR, else in /tmp/visiond-UID, for a user's own.",
    )
    group: str | None = Field(
        default=None, min_length=1, description="Group that may connect. Left out: the group of the daemon's user."
    )
    mode: OctalMode = Field(
        default=0o660,
        description="File mode of the socket, in octal and in quotes. Who may write to the socket may read detections.",
        json_schema_extra={"default": "0660"},
    )
    max_clients: int = Field(default=256, ge=1, le=4096, description="How many clients may be connected at a time.")


class Camera(_Section):
    """A camera, and what is done with its frames."""

    source: Source = Field(
        repr=False,  # it may hold a password
        title="what to open, such as v4l2:/dev/video0 or synthetic:shapes",
        description=f"What to open: {', '.join(FORMS.values())}. file: and images: take ?loop=1 at their end.",
        json_schema_extra={"pattern": f"^({'|'.join(FORMS)}):."},
    )
    size: Size | None = Field(
        default=None,
        title="[width, height] in pixels",
        description="Width and height asked of the camera, in pixels, 32 to 8192. Left out: the source's own.",
    )
    fps: float | None = Field(
        default=None,
        ge=0,
        le=240,
        description="Frames per second asked of the camera. Left out: the source's own. 0: as fast as the model takes "
        "them, for file:, images: and synthetic:.",
    )
    rotate: Rotation = Field(default=0, description="Degrees to turn the picture clockwise.")
    model: str = Field(
        title="the name of one of the models below", description="Name of the model that sees its frames."
    )
    max_age_ms: float = Field(
        default=1000,
        ge=10,
        le=60_000,
        description="Milliseconds after which a frame is dropped rather than published as fresh. Not with fps: 0: "
        "there frames wait for the model.",
    )
    track: bool = Field(
        default=True, description="Whether objects get a track_id that follows them from frame to frame."
    )
    zones: dict[Name, Polygon] = Field(
        default={},
        max_length=32,
        description="Named polygons. An object is in a zone when the bottom centre of its box is. Points are [x, y] as "
        "fractions of the frame, 0 to 1, from the top left.",
        json_schema_extra=NAMED,
    )

    @field_validator("fps")
    @classmethod
    def _live_cameras_have_a_pace(cls, fps: float | None, info: ValidationInfo) -> float | None:
        if fps == 0 and "source" in info.data and SourceAddress.parse(info.data["source"]).is_live:
            raise ValueError("0 is not possible for a live camera, leave fps out or give more than 0, to 240")
        return fps


class Model(_Section):
    """A model, and how it is run."""

    package: PackagePath = Field(
        min_length=1,
        title="the name of a folder in models.path, or a path",
        description="Model package: the name of a folder in models.path, or a path with a / in it.",
    )
    accelerator: Literal["required", "prefer", "never"] = Field(
        default="prefer",
        description="Edge TPU: required (no results without it), prefer (the CPU takes over without it) or never.",
    )
    device: Devices = Field(
        default="usb",
        min_length=1,
        title="usb, usb:0, usb:2-1.4, several with commas between, or all",
        description="Which Edge TPU: usb (the first), usb:0 by number, or usb:2-1.4 by the port that `visiond doctor` "
        "shows; several, as in usb:0,usb:1, or all share the frames.",
    )
    runtime: Literal["auto", "litert", "tflite-runtime", "pycoral", "onnx"] = Field(
        default="auto",
        description="What runs the model: auto takes what is installed and fits, and `visiond status` says which.",
    )
    standby: Literal["warm", "cold"] = Field(
        default="warm",
        description="With accelerator: prefer, whether the CPU's engine is loaded before it is needed (warm, where "
        "the memory allows) or when the Edge TPU fails (cold: some seconds without results).",
    )
    max_rss_mb: int = Field(
        default=512,
        ge=64,
        le=65_536,
        description="Megabytes of memory past which the model's process is started anew, between two frames.",
    )
    threads: int = Field(default=2, ge=1, le=16, description="Threads of the CPU that the model uses.")
    min_score: Fraction = Field(default=0.5, description="Results with a lower score are left out; 0 to 1.")
    max_objects: int = Field(
        default=100, ge=1, le=100, description="At most this many objects per frame, those of highest score."
    )


class EdgeTpuUsb(_Section):
    """What libedgetpu lets one choose about USB."""

    always_dfu: bool | None = Field(
        default=None, description="Load the firmware at each opening, also where the stick has it."
    )
    max_bulk_in_queue_length: int | None = Field(
        default=None, ge=0, le=255, description="Transfers under way at a time; 8 unless given."
    )

    @property
    def given(self) -> dict[str, bool | int]:
        """The options that are given, by name."""
        return self.model_dump(exclude_none=True)


class EdgeTpu(_Section):
    """The accelerator: its library, and what is done when it fails."""

    library: Library = Field(
        default="libedgetpu.so.1",
        min_length=1,
        title="a name that the loader finds, or a path",
        description="libedgetpu: a name that the system's loader finds, or a path with a / in it.",
    )
    performance: Literal["low", "medium", "high", "max"] | None = Field(
        default=None,
        description="The stick's clock. Less is cooler. Left out: the library's own default.",
    )
    usb: EdgeTpuUsb = Field(default_factory=lambda: EdgeTpuUsb(), description="Options of libedgetpu's USB driver.")
    reset: bool = Field(
        default=False,
        description="Whether a stick that did not open three times is reset through USB, and then switched off and on.",
    )
    max_backoff_s: float = Field(
        default=30,
        ge=0.5,
        le=300,
        description="Seconds at most between two tries of a stick that fails; the first comes after half a second.",
    )
    sysfs: ConfigPath = Field(
        default=Path("/sys"),
        description="Where USB devices are looked for; another folder holds a simulated Edge TPU.",
        json_schema_extra={"default": "/sys"},
    )
    dev: ConfigPath = Field(
        default=Path("/dev"),
        description="Where their device nodes are; another folder holds a simulated Edge TPU's.",
        json_schema_extra={"default": "/dev"},
    )


class Models(_Section):
    """The models by name, and the folder where their packages are looked up."""

    model_config = ConfigDict(extra="allow", json_schema_extra=NAMED)
    __pydantic_extra__: dict[str, Model]

    path: ConfigPath = Field(
        default_factory=default_models_path,
        description="Folder of the model packages. Left out: the project's own. No model can have this name.",
    )

    @property
    def named(self) -> Mapping[str, Model]:
        """The models by name."""
        return self.__pydantic_extra__

    def __getitem__(self, name: str) -> Model:
        """Return the model of this name."""
        return self.__pydantic_extra__[name]

    def folder(self, name: str) -> Path:
        """Return the absolute folder of a model's package."""
        return self.path / self[name].package


class Config(_Section):
    """The whole file."""

    socket: Socket = Field(default_factory=lambda: Socket(), description="The Unix socket that clients read.")
    cameras: dict[Name, Camera] = Field(
        min_length=1,
        max_length=32,
        title="at least one camera under a name of its own",
        description="The cameras by name.",
        json_schema_extra=NAMED,
    )
    models: Models = Field(
        title="at least one model under a name of its own",
        description="The models by name, and where their packages are.",
    )
    reload_trial_s: float = Field(
        default=30,
        ge=1,
        le=600,
        description="Seconds within which a reloaded configuration must give results again; else the last one that did "
        "comes back.",
    )
    edgetpu: EdgeTpu = Field(default_factory=lambda: EdgeTpu(), description="The Edge TPU that models may use.")

    def with_socket(self, path: Path) -> Config:
        """Return the same configuration with another socket path."""
        return self.model_copy(update={"socket": self.socket.model_copy(update={"path": path})})


def load_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises NoInputError when there is no such file, ConfigError with a line for each problem:
    `FILE:LINE:COL: KEY: what is wrong, what to do`.
    """
    document = load(path)
    report_contradictions(document)
    return document.validate(Config)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration as it is written in YAML, for editors."""
    schema = Config.model_json_schema(schema_generator=UntitledSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Configuration of visiond"}
