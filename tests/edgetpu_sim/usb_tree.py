"""A fake of what the kernel shows of a USB stick, for code that takes the roots of sysfs and /dev as parameters.

    sysfs/bus/usb/devices/2-1/{idVendor,idProduct,serial,speed,busnum,devnum,authorized,…}
    sysfs/bus/usb/devices/2-1/port -> ../2-0:1.0/usb2-port1         stays while the stick is away
    sysfs/bus/usb/devices/2-1/2-1:1.0/[driver -> …/drivers/usbfs]   also as …/devices/2-1:1.0
    dev/bus/usb/002/003                                             a regular file

The library moves `2-1` aside and back when it loads the firmware (usb.c): one rename each, so that a reader sees the
whole stick or none.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BUS: Final = 2  # the first SuperSpeed bus of most boards
BOOTLOADER: Final = ("1a6e", "089a")
READY: Final = ("18d1", "9302")


class UsbTree:
    """The fake of one stick, in the port `number` (from 1) of the root hub."""

    def __init__(self, folder: Path, number: int) -> None:
        self.port = f"{BUS}-{number}"
        self.devices = folder / "sysfs" / "bus" / "usb" / "devices"
        self.device = self.devices / self.port
        self.parking = folder / "away" / self.port
        self.nodes = folder / "dev" / "bus" / "usb" / f"{BUS:03}"
        self._number = number

    def make_port(self) -> None:
        """What is there without a stick: the hub's port, the folders, the driver that claims interfaces."""
        (self.devices / f"{BUS}-0:1.0" / f"usb{BUS}-port{self._number}").mkdir(parents=True, exist_ok=True)
        (self.devices.parent / "drivers" / "usbfs").mkdir(parents=True, exist_ok=True)
        self.parking.parent.mkdir(exist_ok=True)
        self.nodes.mkdir(parents=True, exist_ok=True)

    def appear(self, usb_id: tuple[str, str], devnum: int, attributes: Mapping[str, str]) -> None:
        """The stick is plugged in; `attributes` add to, or replace, the usual ones."""
        self.vanish()
        vendor, product = usb_id
        usual = {"idVendor": vendor, "idProduct": product, "busnum": str(BUS), "devnum": str(devnum), "speed": "5000"}
        interface = self.parking / f"{self.port}:1.0"
        interface.mkdir(parents=True)
        for name, value in (usual | {"authorized": "1", "devpath": str(self._number)} | dict(attributes)).items():
            (self.parking / name).write_text(f"{value}\n")
        for name, value in {"bInterfaceClass": "ff", "bInterfaceNumber": "00"}.items():
            (interface / name).write_text(f"{value}\n")
        (self.parking / "port").symlink_to(f"../{BUS}-0:1.0/usb{BUS}-port{self._number}")
        self.node(devnum).touch(0o664)
        (self.devices / interface.name).symlink_to(f"{self.port}/{interface.name}")
        self.parking.rename(self.device)

    def vanish(self) -> None:
        """The stick is unplugged, wherever it was."""
        number = self._devnum()
        for place in (self.device, self.parking):
            if place.exists():
                shutil.rmtree(place)
        (self.devices / f"{self.port}:1.0").unlink(missing_ok=True)
        if number:
            self.node(number).unlink(missing_ok=True)

    def claim(self, claimed: bool) -> None:
        """Whether a program has the interface through usbfs, as the kernel shows it."""
        driver = self.device / f"{self.port}:1.0" / "driver"
        driver.unlink(missing_ok=True)
        if claimed:
            driver.symlink_to("../../../drivers/usbfs")

    def node(self, devnum: int) -> Path:
        """The device node."""
        return self.nodes / f"{devnum:03}"

    def _devnum(self) -> int | None:
        for place in (self.device, self.parking):
            if (place / "devnum").exists():
                return int((place / "devnum").read_text())
        return None
