"""How pictures of pages are packed by Pillow, and what is said of them there: as in the file that they come from.

As in `decode.cpu`, importing this module loads Pillow.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from PIL import JpegImagePlugin, PngImagePlugin
from PIL.ImageFile import ImageFile

from orientd.decode import jp2_metadata
from orientd.decode.copied_metadata import exif, iptc_resource, photoshop, upright_xmp
from orientd.errors import Refused
from orientd.formats import png
from orientd.records import Format

Options = dict[str, Any]
"""Those of `Image.save`; `photoshop` are bytes of its resources, which only JPEGs take."""

QUALITY: Final = 95
_EXIF, _PHOTOSHOP, _XMP_EXTENSION = b"Exif\0\0", b"Photoshop 3.0\0", b"http://ns.adobe.com/xmp/extension/\0"
_APP1, _APP13 = b"\xff\xe1", b"\xff\xed"
_MOST, _MOST_XMP = 65533, 65533 - 29  # bytes of a segment of a JPEG
_COLORS: Final = (b"cHRM", b"gAMA", b"sRGB", b"cICP")


def options(format: Format, image: ImageFile, data: bytes) -> Options:  # noqa: A002
    """How a loaded picture, from a file of those bytes, is packed again."""
    return _PACKED.get(format, _as_jpeg)(image, data)


def true_of_copy(said: Options, size: tuple[int, int], *, swapped: bool) -> Options:
    """The options for a copy of that width and height; `swapped` if what was across is up and down in it."""
    made = {name: value for name, value in said.items() if value}
    if swapped and "dpi" in made:
        made["dpi"] = made["dpi"][::-1]
    if "xmp" in made:
        made["xmp"] = upright_xmp(made["xmp"])
    if "exif" in made:
        with suppress(Refused):
            made["exif"] = _EXIF + exif(made["exif"], size, swapped=swapped)
    return _of_jpeg(made, swapped=swapped) if made["format"] == "JPEG" else made


def _of_jpeg(made: Options, *, swapped: bool) -> Options:
    """With what is too long for a segment left out, or in several."""
    for name, most in (("exif", _MOST), ("xmp", _MOST_XMP)):
        if len(made.get(name, b"")) > most:
            del made[name]
    resources = photoshop(made.pop("photoshop", b""), swapped=swapped)
    parts = (resources[at : at + _MOST - len(_PHOTOSHOP)] for at in range(0, len(resources), _MOST - len(_PHOTOSHOP)))
    made["extra"] = made.get("extra", b"") + b"".join(_segment(_APP13, _PHOTOSHOP + part) for part in parts)
    return made


def _segment(marker: bytes, body: bytes) -> bytes:
    return marker + (len(body) + 2).to_bytes(2, "big") + body


def _as_jpeg(image: ImageFile, data: bytes) -> Options:
    """With the tables of the source if that is a JPEG."""
    said = {"format": "JPEG", "quality": QUALITY, "exif": _exif(image), **_details(image, "icc_profile", "dpi", "xmp")}
    if image.format == "JPEG2000":
        found = jp2_metadata.read(data)
        said |= {"exif": found.exif, "xmp": found.xmp, "icc_profile": found.profile}
        said["photoshop"] = iptc_resource(found.iptc) if found.iptc else b""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        said |= _as_before(image)
    return said


def _as_before(image: JpegImagePlugin.JpegImageFile) -> Options:
    segments = [body for name, body in image.applist if name in ("APP1", "APP13")]
    said: Options = {"quality": None, "qtables": image.quantization, **_details(image, "comment", "progressive")}
    said["photoshop"] = b"".join(body.removeprefix(_PHOTOSHOP) for body in segments if body.startswith(_PHOTOSHOP))
    said["extra"] = b"".join(_segment(_APP1, body) for body in segments if body.startswith(_XMP_EXTENSION))
    if (sampling := JpegImagePlugin.get_sampling(image)) >= 0:
        said["subsampling"] = ("4:4:4", "4:2:2", "4:2:0")[sampling]
    if not image.info.get("jfif_unit"):
        said["dpi"] = None  # Pillow has it from EXIF, where it stays
    return said


def _as_png(image: ImageFile, data: bytes) -> Options:
    texts = PngImagePlugin.PngInfo()
    for key, text in getattr(image, "text", {}).items():
        texts.add_itxt(key, text)
    for name, body in _colors(data):
        texts.add(name, body)
    return {"format": "PNG", "pnginfo": texts, "exif": _exif(image), **_details(image, "icc_profile", "dpi")}


def _colors(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a PNG says of its colors."""
    with suppress(Refused):
        for chunk in png.chunks(data):
            if chunk.name in _COLORS:
                yield chunk.name, data[chunk.start : chunk.end]


def _as_webp(image: ImageFile, data: bytes) -> Options:
    lossless = b"VP8L" in data[:64]
    said = {"format": "WEBP", "lossless": lossless, "quality": 100 if lossless else QUALITY, "exact": True}
    return said | {"exif": _exif(image), **_details(image, "icc_profile", "xmp")}


_PACKED: Final[Mapping[Format, Callable[[ImageFile, bytes], Options]]] = {
    Format.PNG: _as_png,
    Format.BMP: _as_png,
    Format.GIF: _as_png,
    Format.WEBP: _as_webp,
}


def _details(image: ImageFile, *names: str) -> Options:
    return {name: image.info[name] for name in names if image.info.get(name)}


def _exif(image: ImageFile) -> bytes:
    """The block as it is or, where it is stored in another way, as Pillow writes what it reads."""
    stored = image.info.get("exif") or b""
    found = image.getexif()
    return stored or (found.tobytes() if len(found) else b"")
