from typing import Any

import pytest

from visiond.edgetpu.delegate_options import PERFORMANCE, delegate_options


@pytest.mark.parametrize("index", [0, 3])
def test_the_device_always_carries_an_index(index: int) -> None:
    """Without one libedgetpu drops the other options and says nothing."""
    assert delegate_options(index) == {"device": f"usb:{index}"}


@pytest.mark.parametrize("given", PERFORMANCE)
def test_performance_is_capitalised(given: str) -> None:
    assert delegate_options(0, given)["Performance"] == given.capitalize()


@pytest.mark.parametrize(
    ("usb", "expected"),
    [
        ({"always_dfu": True}, {"Usb.AlwaysDfu": "True"}),
        ({"always_dfu": False}, {"Usb.AlwaysDfu": "False"}),
        ({"max_bulk_in_queue_length": 0}, {"Usb.MaxBulkInQueueLength": "0"}),
        ({"max_bulk_in_queue_length": 255}, {"Usb.MaxBulkInQueueLength": "255"}),
    ],
)
def test_usb_options_are_in_libedgetpus_words(usb: dict[str, Any], expected: dict[str, str]) -> None:
    assert delegate_options(1, "max", usb) == {"device": "usb:1", "Performance": "Max", **expected}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((-1,), "give 0 or more"),
        ((0, "Max"), "'Max' is unknown, give low, medium, high, max"),
        ((0, None, {"always_dfu": 1}), "usb.always_dfu: 1 is not possible"),
        ((0, None, {"max_bulk_in_queue_length": 256}), "usb.max_bulk_in_queue_length: 256 is not possible"),
        ((0, None, {"max_bulk_in_queue_length": True}), "True is not possible"),
        ((0, None, {"AlwaysDfu": True}), "give always_dfu: true or false"),
    ],
)
def test_what_libedgetpu_would_refuse_without_a_word_is_refused_in_words(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        delegate_options(*arguments)
    assert said in str(caught.value)
