"""The peak memory of a few training steps in this process, and what the plan says.

The plan is made after the measurement, because it builds graphs of its own.
"""

import dataclasses
import json
import sys

import tensorflow as tf

from benchmarks import processes
from bt_keras.config import default
from bt_keras.plan import plan, trial
from bt_keras.plan.images import Images
from bt_keras.training import setup

_IMAGES = 50_000


def main():
    processes.die_first()
    config = default()
    for field, value in json.loads(sys.argv[1]).items():
        section, _, name = field.rpartition(".")
        entry = config[section] if section else config
        entry[name] = tuple(value) if isinstance(value, list) else value
    tf.config.list_logical_devices()  # Starts TensorFlow.
    baseline = processes.peak()
    model = setup.new_model(config, _IMAGES // config.batch_size)
    trial.run(model, config, config.batch_size, Images(_IMAGES, "random views"))
    measured = processes.peak() - baseline
    memory = plan(config, num_images=_IMAGES).memory
    parts = dataclasses.asdict(memory) | {"total": memory.total}
    print(json.dumps({"baseline": baseline, "measured": measured, "plan": parts}))


if __name__ == "__main__":
    main()
