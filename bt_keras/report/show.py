"""The page of a run, from its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bt_keras.report.gather import read
from bt_keras.report.html_page import Page, render
from bt_keras.workdir import Workdir


def page(
    workdir: str | os.PathLike | Workdir,
    compare: Sequence[str | os.PathLike | Workdir] = (),
) -> Page:
    """Makes a page that shows a run.

    It needs no network and no other files when it is opened.

    Args:
        workdir: String or path of a run's folder, or its `bt_keras.workdir.Workdir`.
        compare: Sequence of the same, other runs whose curves, accuracies and spectra
            are shown with those of the first. Defaults to `()`.

    Returns:
        `Page`, which a notebook displays; its method `save` writes it to a file.

    Raises:
        UsageError: If a folder holds no run.
    """
    return render([read(each) for each in (workdir, *compare)])
