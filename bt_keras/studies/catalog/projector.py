"""Width and depth of the projector (the paper's Figure 4)."""

from bt_keras.studies.study import Study, Variant

_WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_MIDDLE = 512
_DEPTH = 3


PROJECTOR = Study(
    name="projector",
    title="Width and depth of the projector",
    source="Figure 4, which plots widths without numbers; all layers have "
    f"one width, {_MIDDLE} for other depths than {_DEPTH}",
    baseline=f"width_{_MIDDLE}",
    variants=(
        *(Variant(f"width_{w}", {"projector": (w,) * _DEPTH}) for w in _WIDTHS),
        *(
            Variant(f"depth_{depth}", {"projector": (_MIDDLE,) * depth})
            for depth in (1, 2, 4)
        ),
    ),
)
