"""The seconds of every step of `fit`."""

import time

import keras


class StepClock(keras.callbacks.Callback):
    """Records the seconds of every step, with the callbacks before this one."""

    def on_epoch_begin(self, epoch, logs=None):
        self.seconds, self._last = [], time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
