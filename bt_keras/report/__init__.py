"""One page that shows a run, and its figures for notebooks.

Needs the extra `report`: `pip install 'bt-keras[report]'`.
"""

import importlib

# The module of each public name, imported on first use: `bt-keras report` prints its
# table before TensorFlow is imported.
_MODULES = {
    "Contents": "bt_keras.report.contents",
    "Page": "bt_keras.report.html_page",
    "accuracy": "bt_keras.report.figures",
    "confusion": "bt_keras.report.feature_figures",
    "correlation": "bt_keras.report.feature_figures",
    "curves": "bt_keras.report.figures",
    "feature_map": "bt_keras.report.feature_figures",
    "from_fit": "bt_keras.report.fit_contents",
    "neighbors": "bt_keras.report.pictures",
    "page": "bt_keras.report.show",
    "read": "bt_keras.report.gather",
    "render": "bt_keras.report.html_page",
    "spectra": "bt_keras.report.figures",
    "throughput": "bt_keras.report.figures",
    "verdict": "bt_keras.report.verdicts",
    "view_pairs": "bt_keras.report.pictures",
}
__all__ = list(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'bt_keras.report' has no attribute {name!r}")
    from bt_keras.report import library

    library.check()
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
