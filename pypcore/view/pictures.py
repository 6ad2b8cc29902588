"""The pictures of items, as they are and small."""

import io
from pathlib import Path

LARGEST = 64 * 2**20  # bytes of a picture that is still shown
PIXELS = 100_000_000  # of one that is still made small
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def picture(path: Path) -> tuple[bytes, str] | None:
    """Return the bytes of a picture and their MIME type; None where it is none, or too large."""
    kind = TYPES.get(path.suffix.lower())
    if kind is None or path.stat().st_size > LARGEST:
        return None
    return path.read_bytes(), kind


def thumbnail(path: Path, width: int = 360) -> bytes | None:
    """Return a picture at most ``width`` px wide, as WebP; None where it can't be read."""
    from PIL import Image, UnidentifiedImageError  # late: only who looks at pictures pays

    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXELS:
                return None
            image.draft("RGB", (width, width))
            small = image.convert("RGB")
            small.thumbnail((width, width), Image.Resampling.BOX, reducing_gap=1.0)
            out = io.BytesIO()
            small.save(out, "WEBP", quality=80, method=2)
            return out.getvalue()
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
