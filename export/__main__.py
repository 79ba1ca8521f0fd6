"""Published models, and the export of a run.

    python -m export                        list the published models
    python -m export rebuild NAME           train, measure and export a model
    python -m export verify [NAME ...]      check models, by default all of them
    python -m export publish NAME --publish=kaggle --handle=OWNER/MODEL/tensorFlow2/NAME
    python -m export --workdir runs/x --out module/

`rebuild` follows export/models/NAME/recipe.py and writes the module, its card and its
results beside it. `--workdir=RUN` takes the run of the recipe in this folder, or trains
it there (runs/NAME if not given). `--transfer=SOURCE`, once for each data set, replaces
those of the recipe that the model is also measured on.

`publish` takes the flags of `bt-keras export` for publishing, such as `--dry_run`.

The last form is `bt-keras export`, from a checkout without an installation; `bt-keras
export --help` describes its flags.
"""

import sys

from bt_keras.cli import flags
from bt_keras.cli.main import guard, main
from export import commands


def run(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    if arguments and arguments[0] in flags.HELP:
        print(__doc__.strip())
        return 0
    if arguments and arguments[0].startswith("-"):
        return main(["export", *arguments])
    return guard(commands.run, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
