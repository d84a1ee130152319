"""What every test may ask for."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

import stillness

# Examples on a busy machine take their time; a slow one is no failure.
hypothesis.settings.register_profile("visiond", deadline=None)
hypothesis.settings.load_profile("visiond")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return ROOT


@pytest.fixture(scope="session")
def assets() -> Path:
    """Real models and pictures, read in place; the checkout has them beside it or the test cannot run."""
    folder = ROOT.parent / "shared" / "assets"
    if not folder.is_dir():
        pytest.skip("no ../shared/assets beside the project: real models and pictures are not here")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C end what tests start, also where the tests themselves run behind `&`: a shell ignores it there."""
    config.pluginmanager.register(stillness, "stillness")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where VISIOND_NO_SKIPS is set (CI), a test that could have run and was skipped is a failure."""
    if os.environ.get("VISIOND_NO_SKIPS") and not skips_are_excused(terminalreporter):
        terminalreporter.write_line("skipped tests count as failures here (VISIOND_NO_SKIPS)", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(session.config, "workerinput"):
        return  # one of several processes: the one that collects them all decides
    if os.environ.get("VISIOND_NO_SKIPS") and not skips_are_excused(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def skips_are_excused(reporter: pytest.TerminalReporter) -> bool:
    """Only the absence of the assets' folder excuses a skip."""
    return all("no ../shared/assets" in str(report.longrepr) for report in reporter.stats.get("skipped", []))
