"""Print the losses and results of a run, and write a page that shows it.

The page is one HTML file, report.html in the folder of the run: a verdict, curves,
accuracies, the cross-correlation matrix, nearest neighbors and more, which needs no
network when it is opened. It needs `pip install 'bt-keras[report]'`.

Examples:

    bt-keras report --workdir runs/demo
    bt-keras report --workdir runs/demo --nohtml
    bt-keras report --workdir runs/demo --nocompute
    bt-keras report --workdir runs/demo --test_split "test[:1000]"
    bt-keras report --workdir runs/demo --compare runs/b,runs/c --out compared.html
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, image_flags, start
from bt_keras.errors import UsageError

ADVICE = faults.Advice(
    memory="lower config.evaluation.batch_size in the run's config.json, or give "
    "--nohtml"
)
# Flags that only a page has.
_OF_PAGE = ("out", "compare", "train_split", "test_split")


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new("workdir")
    absl_flags.DEFINE_bool("html", True, "Write the page.", flag_values=values)
    absl_flags.DEFINE_string(
        "out",
        None,
        "File of the page; an existing one is replaced. Defaults to report.html in the "
        "folder of the run.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "compute",
        True,
        "Show on the page what is computed with the network: C, spectrum, neighbors, "
        "map and confusion matrix. This takes the GPU, also while a run trains on it, "
        "and as long as up to 14,000 images need through the network, and 4,000 for "
        "each run of --compare. --nocompute only reads files.",
        flag_values=values,
    )
    absl_flags.DEFINE_list(
        "compare",
        [],
        "Folders of other runs, separated by commas, whose curves, accuracies, spectra "
        "and recipes are shown on the same page.",
        flag_values=values,
    )
    image_flags.define_splits(
        values,
        "images among which the page finds neighbors",
        "images whose spectrum, neighbors, map and confusion matrix the page shows",
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)
    given = [f"--{name}" for name in _OF_PAGE if values[name].value]
    if not values.html and given:
        raise UsageError(f"--nohtml writes no page: leave out {' and '.join(given)}.")
    if not values.compute and (values.train_split or values.test_split):
        raise UsageError(
            "--nocompute reads no images: leave out --train_split and --test_split."
        )

    from bt_keras.evaluation.report import report
    from bt_keras.workdir import Workdir

    workdirs = [Workdir(path) for path in (values.workdir, *values.compare)]
    for workdir in workdirs:
        workdir.config()  # Raises if the folder holds no run.
    print(report(workdirs[0]), flush=True)
    if values.html:
        _write_page(values, workdirs)


def _write_page(values, workdirs):
    from bt_keras.report import library

    try:
        library.check()
    except UsageError as error:
        if values["html"].present or any(values[name].value for name in _OF_PAGE):
            raise
        print(f"no page is written: {error}")
        return
    start.tensorflow(devices=values.compute)
    from bt_keras.report import html_page, show

    out = values.out or workdirs[0].path / "report.html"
    splits = values.train_split, values.test_split
    runs = show.read_all(workdirs, *splits, compute=values.compute)
    html_page.render(runs).save(out)
    if runs[0].gaps:
        print(f"missing in the page: {', '.join(sorted(runs[0].gaps))}")
    print(f"page:  {out}")
