"""A Coral stick for the kernel's virtual USB hub: what it says on its control endpoint, without what computes.

Like the real one it appears as 1a6e:089a, takes a firmware (DFU), and is 18d1:9302 after the next reset of its port.
`python stick_server.py PORT` plugs it in; each line on standard input does something, and is answered with one:
`unplug`, `plug` (in the bootloader again), `firmware` (as if it had been loaded), `slow` and `fast` (USB 2 or 3, for
the next `plug`).

Sources: the kernel's Documentation/usb/usbip_protocol.rst for messages, drivers/usb/usbip/vhci_sysfs.c for `attach`.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HUB: Final = Path("/sys/devices/platform/vhci_hcd.0")
HIGH_SPEED, SUPER_SPEED = 3, 5  # enum usb_device_speed of <linux/usb/ch9.h>
PORTS: Final = 15  # CONFIG_USBIP_VHCI_HC_PORTS of Debian: so many at high speed, then so many at super speed
DEVICE_ID: Final = 0x00010002  # bus and number on the server; one connection has one device

SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
_HEAD: Final = struct.Struct(">IIIIIIiiii8s")  # the largest form, 48 bytes: usbip_header of USBIP_CMD_SUBMIT
_DONE: Final = struct.Struct(">IIIIIiiiii8x")
STALL: Final = -32  # -EPIPE
ABORTED: Final = -104  # -ECONNRESET

GET_STATUS, GET_DESCRIPTOR, GET_CONFIGURATION, GET_INTERFACE = 0, 6, 8, 10
DEVICE, CONFIGURATION, STRING, BOS = 1, 2, 3, 15
DFU_DOWNLOAD, DFU_GET_STATUS = 1, 3
STANDARD, CLASS = 0, 1


class Stick:
    """The device behind the control endpoint; `firmware` is what makes it the other one at the next reset."""

    def __init__(self, super_speed: bool) -> None:
        self.super_speed = super_speed
        self.firmware = False

    def answer(self, setup: bytes, data: bytes) -> bytes | None:
        """Return what a control request reads, nothing for one that writes, None to stall."""
        kind, request, value, _, length = struct.unpack("<BBHHH", setup)
        owner = kind >> 5 & 3
        if owner == CLASS and not self.firmware:
            return self._firmware_request(request, data, length)
        if owner != STANDARD:
            return None
        if not kind & 0x80:
            return b""  # addresses, configurations, features: all are taken
        reply = {GET_STATUS: bytes(2), GET_CONFIGURATION: b"\1", GET_INTERFACE: b"\0"}.get(request)
        if request == GET_DESCRIPTOR:
            reply = self._descriptor(value >> 8, value & 0xFF)
        return reply[:length] if reply is not None else None

    def _firmware_request(self, request: int, data: bytes, length: int) -> bytes | None:
        if request == DFU_DOWNLOAD:
            self.firmware = not data  # an empty block ends the download
            return b""
        return bytes([0, 0, 0, 0, 5, 0])[:length] if request == DFU_GET_STATUS else None

    def _descriptor(self, kind: int, index: int) -> bytes | None:
        vendor, product = (0x18D1, 0x9302) if self.firmware else (0x1A6E, 0x089A)
        usb, packet = (0x0300, 9) if self.super_speed else (0x0200, 64)
        if kind == DEVICE:
            serial = 3 if self.firmware else 0
            return struct.pack("<BBHBBBBHHHBBBB", 18, 1, usb, 0, 0, 0, packet, vendor, product, 0x0100, 1, 2, serial, 1)
        if kind == CONFIGURATION:
            return self._configuration()
        if kind == STRING:
            texts = ("", "Global Unichip", "Coral simulation", "SIM0001")
            text = "\u0409" if index == 0 else texts[index] if index < len(texts) else None
            return None if text is None else bytes([2 + 2 * len(text), 3]) + text.encode("utf-16-le")
        if kind == BOS and self.super_speed:
            return struct.pack("<BBHBBBBBHBBH", 5, 15, 15, 1, 10, 16, 3, 0, 0x0E, 1, 10, 32)
        return None

    def _configuration(self) -> bytes:
        endpoints = b""
        if self.firmware:
            endpoints = struct.pack("<BBBBHB", 7, 5, 1, 2, 1024 if self.super_speed else 512, 0)
            if self.super_speed:
                endpoints += struct.pack("<BBBBH", 6, 48, 0, 0, 0)
        kind = (0xFF, 0xFF, 0xFF) if self.firmware else (0xFE, 1, 2)
        interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 1 if self.firmware else 0, *kind, 0)
        body = interface + endpoints
        return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 112) + body


def serve(stick: Stick, connection: socket.socket) -> None:
    """Answer the kernel until it or we hang up."""
    with connection, connection.makefile("rb") as messages:
        while len(head := messages.read(_HEAD.size)) == _HEAD.size:
            command, number, _, inwards, endpoint, _, length, _, _, _, setup = _HEAD.unpack(head)
            if command == UNLINK:  # everything has been answered at once: nothing is pending
                connection.sendall(_DONE.pack(UNLINKED, number, 0, 0, 0, ABORTED, 0, 0, 0, 0))
                continue
            data = messages.read(length) if not inwards else b""
            reply = stick.answer(setup, data) if endpoint == 0 else None
            status, count = (STALL, 0) if reply is None else (0, len(reply) if inwards else length)
            done = _DONE.pack(SUBMITTED, number, 0, 0, 0, status, count, 0, 0, 0)
            connection.sendall(done + (reply or b"" if inwards else b""))


class Plug:
    """Our end of the cable."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._super_speed = True
        self._ours: socket.socket | None = None
        self.stick = Stick(True)

    def plug(self) -> None:
        """A stick fresh from the shop appears at the hub."""
        self.stick = Stick(self._super_speed)
        self._ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        threading.Thread(target=serve, args=(self.stick, self._ours), daemon=True).start()
        port, speed = (self._port + PORTS, SUPER_SPEED) if self._super_speed else (self._port, HIGH_SPEED)
        with kernels:
            (HUB / "attach").write_text(f"{port} {kernels.fileno()} {DEVICE_ID} {speed}")

    def unplug(self) -> None:
        """The cable is pulled, whatever is going on."""
        if self._ours is not None:
            self._ours.shutdown(socket.SHUT_RDWR)
            self._ours = None

    def commands(self, lines: Iterator[str]) -> Iterator[str]:
        """Do what the lines say, one answer each."""
        for line in lines:
            match line.strip():
                case "plug":
                    self.plug()
                case "unplug":
                    self.unplug()
                case "firmware":
                    self.stick.firmware = True
                case "slow" | "fast" as speed:
                    self._super_speed = speed == "fast"
                case unknown:
                    yield f"unknown: {unknown}"
                    continue
            yield "done"


def main() -> None:
    """Plug one in and serve until standard input ends."""
    plug = Plug(int(sys.argv[1]))
    plug.plug()
    print("done", flush=True)
    for answer in plug.commands(iter(sys.stdin.readline, "")):
        print(answer, flush=True)


if __name__ == "__main__":
    main()
