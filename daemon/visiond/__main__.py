"""`python -m visiond` is `visiond`."""

import sys

from visiond.cli import main

sys.exit(main())
