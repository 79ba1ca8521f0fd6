"""`python -m export --workdir runs/x --out module/`: export the backbone of a run.

The same as `bt-keras export`, from a checkout without an installation.
"""

import sys

from bt_keras.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
