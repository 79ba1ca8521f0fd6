"""`python -m bt_keras.cli COMMAND` is `bt-keras COMMAND`."""

import sys

from bt_keras.cli.main import main

sys.exit(main())
