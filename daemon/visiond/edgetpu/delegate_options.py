"""libedgetpu's options, from plain settings to the strings that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PERFORMANCE: Final = {"low": "Low", "medium": "Medium", "high": "High", "max": "Max"}
LONGEST_QUEUE: Final = 255  # edgetpu_delegate_for_custom_op_tflite_plugin.cc:114 of libedgetpu


def delegate_options(
    device_index: int, performance: str | None = None, usb: Mapping[str, bool | int] | None = None
) -> dict[str, str]:
    """Return keys and values for `load_delegate`; `device_index` counts as libedgetpu does, see `library.usb_ports`.

    `performance` is low, medium, high or max, None for the library's default: max, for which a throttled build, as
    libedgetpu1-std is, silently gives less (tflite/edgetpu_context_direct.cc:36-47). `usb` may hold `always_dfu` (load
    the firmware at each open) and `max_bulk_in_queue_length` (0 to 255; 8 unless given, more for a model with many
    outputs). Raises ValueError in words.

    Source: libedgetpu, tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc, lines 97-114 for names and values.
    Lines 47-49 call OpenDevice without any option unless `device` carries an index: nothing is said, and they are
    dropped. Likewise when this process has the stick open already, where the first opener's options hold
    (tflite/edgetpu_manager_direct.cc, TryMatchDriverWrapper). A value that it does not know fails the opening, and an
    option that it does not know is dropped as well (tflite/edgetpu_context_direct.cc, ParseUsbOptions).
    """
    if device_index < 0:
        raise ValueError(f"the stick's number is {device_index}, give 0 or more")
    options = {"device": f"usb:{device_index}"}
    if performance is not None:
        if performance not in PERFORMANCE:
            raise ValueError(f"performance {performance!r} is unknown, give {', '.join(PERFORMANCE)}")
        options["Performance"] = PERFORMANCE[performance]
    for name, value in (usb or {}).items():
        if name == "always_dfu" and isinstance(value, bool):
            options["Usb.AlwaysDfu"] = str(value)
        elif name == "max_bulk_in_queue_length" and not isinstance(value, bool) and 0 <= value <= LONGEST_QUEUE:
            options["Usb.MaxBulkInQueueLength"] = str(value)
        else:
            raise ValueError(
                f"usb.{name}: {value!r} is not possible, give always_dfu: true or false, "
                f"max_bulk_in_queue_length: 0 to {LONGEST_QUEUE}"
            )
    return options
