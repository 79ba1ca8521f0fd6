"""The weight of the redundancy term (the paper's Figure 5)."""

from bt_keras.studies.study import Study, Variant

_PAPER = 0.005
_VALUES = (0.0005, 0.002, _PAPER, 0.01, 0.02, 0.05)


LAMBD = Study(
    name="lambd",
    title="Weight lambda of the redundancy term",
    source="Figure 5, which plots 0.002 to 0.02 without numbers",
    baseline=f"lambd_{_PAPER}",
    variants=tuple(
        Variant(f"lambd_{value}", {"lambd": value}, 71.4 if value == _PAPER else None)
        for value in _VALUES
    ),
)
