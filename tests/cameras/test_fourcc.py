import pytest

from visiond.cameras import fourcc


@pytest.mark.parametrize(
    ("code", "letters"),
    [
        (1196444237, "MJPG"),
        (1196444237.0, "MJPG"),  # as OpenCV gives it
        (0x20303159, "Y10"),
        (0x20363159 | 1 << 31, "Y16-BE"),
        (0.0, ""),
        (-1.0, ""),
        (float(1 << 40), ""),
    ],
)
def test_a_format_is_known_by_its_letters(code: float, letters: str) -> None:
    assert fourcc.text(code) == letters
