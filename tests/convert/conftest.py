"""These tests need the environment of the `convert` extra; in another one they are not collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("tensorflow") else ["test_*.py"]
