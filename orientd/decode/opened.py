"""Opening by Pillow where its class for a format does not suffice."""

from io import BytesIO

from PIL.PngImagePlugin import PngImageFile

from orientd import formats


def png(file: BytesIO) -> PngImageFile:
    """The PNG without its texts and color profile, which Pillow would unpack only to give the photo up beyond 1 MiB."""
    return PngImageFile(BytesIO(formats.png.bare(file.getvalue())))
