"""``python -m fastbp``: the command line, which is in `fastbp.cli`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
