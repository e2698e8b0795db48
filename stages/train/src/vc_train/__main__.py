"""``python -m vc_train``: how a run starts its other processes."""

import sys

from vc_train.cli import main

if __name__ == "__main__":
    sys.exit(main())
