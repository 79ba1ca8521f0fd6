"""Progress bars: none for short steps, none where stdout is no terminal."""

import contextlib
import io

import keras
import numpy as np
import pytest

from bt_keras import progress_bar
from bt_keras.progress_bar import FitProgress, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def wait(monkeypatch):
    """`wait(seconds)`: lets the clock advance."""
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def printed(stream, items, wait, seconds, interrupted=False):
    """Returns what is printed before each item and at the end."""
    texts = []
    with contextlib.redirect_stdout(stream), contextlib.suppress(KeyError):
        for item in track(items, "features of 'train'", total=len(items)):
            assert item == items[len(texts)]
            texts.append(stream.getvalue())
            wait(seconds)
            if interrupted and item == items[-1]:
                raise KeyError
    return [*texts, stream.getvalue()]


def test_a_bar_appears_after_five_seconds(wait):
    texts = printed(Terminal(), range(4), wait, 2.0)
    # The third item is done 6 seconds after the start.
    assert texts[:3] == ["", "", ""]
    assert texts[3].startswith("features of 'train':\n")
    assert "3/4" in texts[3]
    assert "4/4" in texts[4]
    assert texts[4].count("features") == 1
    assert texts[4].endswith("\n")


def test_an_error_ends_the_line(wait):
    *_, before, after = printed(Terminal(), range(5), wait, 2.0, interrupted=True)
    assert not before.endswith("\n")
    assert after == before + "\n"


@pytest.mark.parametrize(
    ("stream", "seconds"), [(Terminal(), 1.0), (io.StringIO(), 99.0)]
)
def test_short_steps_files_and_pipes_have_no_bar(wait, stream, seconds):
    assert printed(stream, range(4), wait, seconds) == [""] * 5


def test_fit_and_evaluate(wait):
    class Slow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            wait(1.0)

        on_test_batch_begin = on_train_batch_begin

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.zeros((8, 2), "float32")
    with contextlib.redirect_stdout(Terminal()) as stream:
        callbacks = [Slow(), FitProgress("training")]
        model.fit(data, data[:, :1], 2, epochs=2, verbose=0, callbacks=callbacks)
        text = stream.getvalue()
        callbacks = [Slow(), FitProgress("testing")]
        model.evaluate(data, data[:, :1], 1, verbose=0, callbacks=callbacks)
    assert text.startswith("training:\n")
    assert "4/8" not in text
    assert "5/8" in text
    assert "8/8" in text
    assert text.endswith("\n")
    rest = stream.getvalue().removeprefix(text)
    assert rest.startswith("testing:\n")
    assert "8/8" in rest
