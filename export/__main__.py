"""`python -m export --workdir runs/x --out module/`: a run's backbone for others.

The code is the package's (`bt_keras.hub` writes, loads and compares, `bt_keras.export`
ties it to a workdir), so that `bt-keras export` does the same after `pip install`.
"""

import sys

from bt_keras import cli

if __name__ == "__main__":
    sys.exit(cli.main(["export", *sys.argv[1:]]))
