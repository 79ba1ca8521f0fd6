"""The runs of `benchmarks.scores`: a grid of valid configs."""

import pytest

from benchmarks import scores
from bt_keras import config as config_lib
from bt_keras.studies.queue import Queue
from bt_keras.studies.results_table import differing_fields


@pytest.mark.parametrize("epochs", [1, 4])
def test_the_runs_are_a_grid(tmp_path, epochs):
    queue = Queue(tmp_path)
    for name, config in scores.configs(epochs):
        queue.add(name, config, ("cached",))
    assert len(queue.names()) == 24
    fields = [config_lib.fields(queue.entry(name)[0]) for name in queue.names()]
    assert differing_fields(fields) == [
        "lambd",
        "optimizer.learning_rate",
        "projector",
        "views.a.crop_scale",
        "views.b.crop_scale",
    ]
    assert len({str(each) for each in fields}) == 24
    assert {each["epochs"] for each in fields} == {epochs}
