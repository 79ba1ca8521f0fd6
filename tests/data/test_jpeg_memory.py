import io

import numpy as np
import pytest
from PIL import Image

from bt_keras.data import jpeg_memory
from bt_keras.data.decode import check_image


def jpeg(mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, (32, 16)).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "options", "bytes_per_pixel"),
    [
        ("RGB", {}, 3),
        ("L", {}, 3),
        ("RGB", {"progressive": True, "subsampling": "4:4:4"}, 3 + 6),
        ("RGB", {"progressive": True, "subsampling": "4:2:0"}, 3 + 3),
        ("L", {"progressive": True}, 3 + 2),
    ],
)
def test_bytes_of_a_decoder(mode, options, bytes_per_pixel):
    needed = jpeg_memory.needed_bytes(jpeg(mode, **options))
    assert needed == 32 * 16 * bytes_per_pixel


def test_markers_and_metadata_before_the_frame_are_skipped():
    exif = Image.Exif()
    exif[270] = "\xff\xc0\xff\xda" * 100
    content = jpeg(exif=exif, comment=b"\xff\xc2" * 50)
    assert jpeg_memory.needed_bytes(content) == 32 * 16 * 3
    assert jpeg_memory.needed_bytes(content[:2] + b"\xff" * 9 + content[2:])


def test_damaged_headers_need_nothing():
    content = jpeg()
    assert jpeg_memory.needed_bytes(b"") == 0
    for size in range(0, content.index(b"\xff\xda"), 7):
        assert jpeg_memory.needed_bytes(content[:size]) == 0


def test_components_that_follow_each_other():
    content = bytearray(jpeg())
    scan = content.index(b"\xff\xda")
    content[scan + 4] = 1
    assert jpeg_memory.needed_bytes(bytes(content)) == 32 * 16 * 3 + 32 * 16 * 3


def test_a_small_file_that_needs_much_memory_is_refused():
    content = bytearray(jpeg(progressive=True, subsampling="4:4:4"))
    frame = content.index(b"\xff\xc2") + 5
    content[frame : frame + 4] = np.array([13_000, 13_000], ">u2").tobytes()
    size, problem = check_image(bytes(content))
    assert size is None
    assert "13000 x 13000 pixels" in problem
