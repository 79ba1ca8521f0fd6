"""`python -m export --workdir runs/x --out module/`: exports a run's backbone.

The code is in `bt_keras.export`, so that `bt-keras export` does the same after
`pip install`.
"""

import sys

from bt_keras.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
