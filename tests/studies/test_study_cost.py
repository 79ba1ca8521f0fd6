import re

import pytest

from bt_keras import config as config_lib
from bt_keras.plan import plan
from bt_keras.plan.formatting import quantity
from bt_keras.studies.scales import Scale
from bt_keras.studies.study import Study, Variant
from bt_keras.studies.study_cost import study_cost


def recipe():
    config = config_lib.load("demo")
    config.data.train_split = "train[:256]"
    config.views.size = 28
    config.backbone.width = 0.125
    config.projector = (16, 16)
    config.epochs = 500
    return config


def test_operations_and_hours():
    study = Study(
        name="made_up",
        title="A made-up study",
        source="here",
        baseline="base",
        variants=(
            Variant("base"),
            Variant("another", {"lambd": 1.0}),
            Variant("wide", {"projector": (2048, 2048)}),
            Variant("byol", {"method.name": "bt_keras.studies.methods.byol.BYOL"}),
        ),
    )
    text = study_cost(study, Scale("500 epochs", recipe, trains=False), seeds=2)
    wide = recipe()
    wide.projector = (2048, 2048)
    base, widened = (
        planned.flops * planned.steps for planned in map(plan, (recipe(), wide))
    )
    rows = {
        cells[0]: cells[1:]
        for line in re.findall(r"^\| (.*) \|$", text, re.M)
        if (cells := [cell.strip() for cell in line.split("|")])
    }
    # Half of the paper's 124 hours on 32 GPUs.
    assert rows["base"] == rows["another"] == [quantity(base, "FLOP"), "1,984"]
    assert rows["wide"] == [quantity(widened, "FLOP"), f"{1984 * widened / base:,.0f}"]
    # BYOL passes the target forward: a third more than forward and backward.
    hours = float(rows["byol"][1].replace(",", ""))
    assert hours / 1984 == pytest.approx(4 / 3, rel=0.05)
    assert "2 seeds of 4 variants: " in text
    assert "learning rate" in text  # Of the plan.
