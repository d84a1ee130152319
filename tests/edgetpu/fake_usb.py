"""A folder that looks like /sys, /dev and /proc of a machine with Coral sticks, to be changed while it is read."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

BOOTLOADER = ("1a6e", "089a")
READY = ("18d1", "9302")


@dataclass
class FakeUsb:
    """`plug`, `reenumerate` and `unplug` do to the files what the kernel does."""

    root: Path
    devnum: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sysfs, self.dev, self.proc = self.root / "sys", self.root / "dev", self.root / "proc"
        self.devices = self.sysfs / "bus" / "usb" / "devices"
        self.proc.mkdir(parents=True)

    def plug(self, port: str, ids: tuple[str, str] = READY, with_port_link: bool = True, **attributes: str) -> Path:
        """Make a device appear; return its folder."""
        folder = self.devices / port
        (folder / f"{port}:1.0").mkdir(parents=True)
        self.devnum[port] = self.devnum.get(port, 1) + 1
        bus = port.partition("-")[0]
        values = {"idVendor": ids[0], "idProduct": ids[1], "busnum": bus, "devnum": str(self.devnum[port])}
        for name, text in {**values, "speed": "5000", "authorized": "1", **attributes}.items():
            (folder / name).write_text(f"{text}\n")
        if with_port_link:
            self.port_folder(port).mkdir(parents=True, exist_ok=True)
            (folder / "port").symlink_to(self.port_folder(port))
        node = self.node(port)
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
        return folder

    def unplug(self, port: str) -> None:
        self.node(port).unlink()
        shutil.rmtree(self.devices / port)

    def reenumerate(self, port: str, ids: tuple[str, str] = READY) -> None:
        with_port_link = (self.devices / port / "port").is_symlink()
        self.unplug(port)
        self.plug(port, ids, with_port_link)

    def port_folder(self, port: str) -> Path:
        """The hub's port: `2-0:1.0/usb2-port1` of a root hub, `2-1:1.0/2-1-port4` of another."""
        hub, dot, last = port.rpartition(".")
        bus, _, root_port = port.partition("-")
        return self.devices / (f"{hub}:1.0/{hub}-port{last}" if dot else f"{bus}-0:1.0/usb{bus}-port{root_port}")

    def node(self, port: str) -> Path:
        return self.dev / "bus" / "usb" / f"{int(port.partition('-')[0]):03}" / f"{self.devnum[port]:03}"

    def claim(self, port: str, pid: int | None, name: str = "python3") -> None:
        """A process claims the stick's interface; pid None: nobody that can be seen."""
        (self.devices / port / f"{port}:1.0" / "driver").symlink_to(self.sysfs / "bus/usb/drivers/usbfs")
        if pid is not None:
            fds = self.proc / str(pid) / "fd"
            fds.mkdir(parents=True)
            (fds / "0").symlink_to("/dev/null")
            (fds / "7").symlink_to(self.node(port))
            (self.proc / str(pid) / "comm").write_text(f"{name}\n")
