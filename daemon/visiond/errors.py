"""What a user can mend. Each error is one clear sentence (what, where, the remedy) and an exit code of sysexits.h."""


class OutputClosed(Exception):
    """Whoever read our output has gone, as `head` does: nothing to tell, and nobody to tell it to."""


class VisiondError(Exception):
    """Base of every error that is told to the user in words, never as a traceback."""

    exit_code = 70


class UsageError(VisiondError):
    """The command line is wrong."""

    exit_code = 64


class DataError(VisiondError):
    """A file's content cannot be used: not a model, a broken picture."""

    exit_code = 65


class NoInputError(VisiondError):
    """A file that was named does not exist or cannot be read."""

    exit_code = 66


class UnavailableError(VisiondError):
    """Something outside is not there: no daemon on the socket, no camera."""

    exit_code = 69


class AlreadyRunningError(VisiondError):
    """Another daemon owns the socket."""

    exit_code = 75


class ConfigError(VisiondError):
    """The configuration or a model package is wrong; the text may hold several lines, one problem each."""

    exit_code = 78


class ModelError(VisiondError):
    """A model that cannot be run as its package says: truncated, wrong rank, outputs that no role fits."""

    exit_code = 65


class CameraError(VisiondError):
    """A camera cannot be opened or has stopped delivering; `state` is one of the camera states in `status`."""

    exit_code = 69

    def __init__(self, text: str, state: str = "lost") -> None:
        super().__init__(text)
        self.state = state
