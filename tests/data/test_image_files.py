"""The files of a folder of images."""

from bt_keras.data import image_files

NAMES = ("a/x.png", "a-b/x.png", "aB.png", "a0.png", "b.png")


def test_the_order_does_not_depend_on_the_separator(monkeypatch):
    for separator in "/\\":
        files = [name.replace("/", separator) for name in NAMES]
        monkeypatch.setattr(image_files, "walk", lambda *_, f=files: reversed(f))
        monkeypatch.setattr(image_files.os, "sep", separator)
        names = [f.replace(separator, "/") for f in image_files.in_order("")]
        assert names == ["a-b/x.png", "a/x.png", "a0.png", "aB.png", "b.png"]
