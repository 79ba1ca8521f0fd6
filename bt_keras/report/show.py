"""The page of a run, from its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bt_keras.report.contents import COMPUTED, OF_ALL_RUNS, Contents
from bt_keras.report.gather import read
from bt_keras.report.html_page import Page, render
from bt_keras.workdir import Workdir


def page(
    workdir: str | os.PathLike | Workdir,
    compare: Sequence[str | os.PathLike | Workdir] = (),
    *,
    train_split: str | None = None,
    test_split: str | None = None,
    compute: bool = True,
) -> Page:
    """Makes a page that shows a run.

    It needs no network and no other files when it is opened. Of the runs that it is
    compared with, only what is shown of all runs is read and computed.

    Args:
        workdir: String or path of a run's folder, or its `bt_keras.workdir.Workdir`.
        compare: Sequence of the same, other runs whose curves, accuracies and spectra
            are shown with those of the first. Defaults to `()`.
        train_split: Optional string, as for `read`, for all runs. Defaults to `None`.
        test_split: Optional string, as for `read`, for all runs. Defaults to `None`.
        compute: Boolean, whether the page shows what is computed with the networks: C
            and the features. Defaults to `True`.

    Returns:
        `Page`, which a notebook displays; its method `save` writes it to a file.

    Raises:
        UsageError: If a folder holds no run, or the images of a split that is given
            cannot be read.
    """
    return render(read_all((workdir, *compare), train_split, test_split, compute))


def read_all(
    workdirs: Sequence[str | os.PathLike | Workdir],
    train_split: str | None = None,
    test_split: str | None = None,
    compute: bool = True,
) -> list[Contents]:
    """Reads what a page shows; arguments and errors as for `page`.

    Args:
        workdirs: Sequence of the run and of those that it is compared with.
        train_split: Optional string. Defaults to `None`.
        test_split: Optional string. Defaults to `None`.
        compute: Boolean. Defaults to `True`.
    """
    splits = {"train_split": train_split, "test_split": test_split}
    of_all_runs = [section for section in COMPUTED if section in OF_ALL_RUNS]
    main, *others = workdirs
    return [
        read(main, compute=COMPUTED if compute else (), **splits),
        *(read(e, compute=of_all_runs if compute else (), **splits) for e in others),
    ]
