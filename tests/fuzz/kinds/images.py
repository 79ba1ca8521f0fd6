"""Images, as they are checked before a run."""

import io

import numpy as np

from tests.fuzz import mutations
from tests.fuzz.kinds.kind import Kind


class Images(Kind):
    """Image files, as they are checked before a run."""

    errors = ()

    def samples(self, folder):
        from PIL import Image

        rng = np.random.default_rng(0)
        levels = rng.integers(0, 256, (13, 17, 3)).astype(np.uint8)
        image = Image.fromarray(levels)
        files = []
        for kind, mode, options in (
            ("JPEG", "RGB", {}),
            ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
            ("JPEG", "L", {}),
            ("JPEG", "CMYK", {}),
            ("BMP", "RGB", {}),
            ("BMP", "P", {}),
            ("GIF", "P", {}),
            ("WEBP", "RGB", {}),
            ("WEBP", "RGBA", {"lossless": True}),
            ("TIFF", "RGB", {"compression": "tiff_lzw"}),
            ("TIFF", "RGB", {"compression": "tiff_deflate"}),
            ("TIFF", "I;16", {}),
        ):
            file = io.BytesIO()
            image.convert("L" if mode == "I;16" else mode).convert(mode).save(
                file, kind, **options
            )
            files.append(file.getvalue())
        return files

    def read(self, path):
        from bt_keras.data.decode import check_image

        check_image(path.read_bytes())


class Bands(Images):
    """TIFF and NumPy's files of several bands."""

    def samples(self, folder):
        from tests.data import band_files, files

        levels = np.random.default_rng(0).integers(0, 256, (13, 17, 5)).astype(np.uint8)
        deep = levels.astype(np.uint16) * 9
        return [
            files.npy(levels),
            files.npy(deep),
            band_files.pages(levels, compression="tiff_lzw"),
            band_files.tiff(levels, ">", predictor=2),
            band_files.tiff(deep, big=True, separate=True, tile=(16, 16)),
        ]

    def read(self, path):
        from bt_keras.data.decode import check_image, largest_value

        size, _ = check_image(path.read_bytes(), 5)
        if size:
            largest_value(path.read_bytes(), 5)


class Png(Images):
    """PNG files with valid checksums."""

    changes = (mutations.mutate_png, mutations.mutate_png, mutations.mutate)

    def samples(self, folder):
        from PIL import Image

        rng = np.random.default_rng(0)
        levels = rng.integers(0, 256, (13, 17, 3)).astype(np.uint8)
        gray = Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
        image = Image.fromarray(levels)
        images = [image, image.convert("P"), image.convert("RGBA"), gray]
        files = [io.BytesIO() for _ in images]
        for image, file in zip(images, files, strict=True):
            image.save(file, "PNG")
        return [file.getvalue() for file in files]
