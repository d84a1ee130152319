import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.edgetpu.device_name import DeviceName, is_port, parse_device, port_order

numbers = st.integers(1, 255)
ports = st.builds(
    lambda bus, chain: f"{bus}-{'.'.join(map(str, chain))}", numbers, st.lists(numbers, min_size=1, max_size=7)
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("usb", DeviceName()),
        ("usb:0", DeviceName(index=0)),
        (" USB:12 ", DeviceName(index=12)),
        ("usb:2-1.4", DeviceName(port="2-1.4")),
        ("usb:10-2", DeviceName(port="10-2")),
    ],
)
def test_a_stick_is_named_by_nothing_by_number_or_by_port(text: str, name: DeviceName) -> None:
    assert parse_device(text) == name
    assert parse_device(str(name)) == name


@pytest.mark.parametrize(
    "text", ["", "usb:", "usb:-1", "usb:2-", "usb:2-0", "usb:2-1.", "usb:100", "usb:٣", "usb:1-2/..", "usb:2-1\nx"]
)
def test_what_names_no_stick_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"give usb, usb:0 or usb:2-1\.4"):
        parse_device(text)


def test_a_coral_on_pci_express_is_named() -> None:
    with pytest.raises(ValueError, match="PCI Express is not driven"):
        parse_device("pci:0")


@given(ports)
def test_every_port_is_read_back(port: str) -> None:
    assert is_port(port)
    assert parse_device(f"usb:{port}") == DeviceName(port=port)


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        said = str(parse_device(text))
    except ValueError as error:
        said = str(error)
    else:
        assert str(parse_device(said)) == said
    assert said.startswith("usb") or "give usb" in said
    assert "\n" not in said


@given(st.lists(ports))
def test_ports_are_sorted_as_people_count(names: list[str]) -> None:
    assert sorted(["2-10", "2-9", "10-1", "2-1.4", "2-1"], key=port_order) == ["2-1", "2-1.4", "2-9", "2-10", "10-1"]
    assert sorted(sorted(names), key=port_order) == sorted(sorted(names, reverse=True), key=port_order)
