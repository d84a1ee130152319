from pathlib import Path

import pytest

from install.device import Device


@pytest.fixture
def device(root: Path, tmp_path: Path) -> Device:
    return Device.make(root, tmp_path)
