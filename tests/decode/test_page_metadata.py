"""What a copy of a page says of it is what its original says: every tag that exiftool finds, but for those of the stored picture."""

import re
import struct
import subprocess
from io import BytesIO

import pytest
from PIL import Image, ImageCms
from support.drawn_pages import lying, page
from support.referee import HAS_EXIFTOOL, read_tags

from orientd import formats
from orientd.decode import page_files
from orientd.decode.page_changes import Changes

pytestmark = pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")

SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "several": ".tif",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "HEIF": ".heic",
    "JPEG2000": ".jp2",
}
SAID = {
    "EXIF": {
        **{"Make": "Acme", "Model": "S1", "Software": "scanner 7", "Artist": "Ada", "Copyright": "Ada, 2020", "HostComputer": "pc"},
        **{"ImageDescription": "ledger", "DocumentName": "Kant", "PageName": "p. 7", "PageNumber": "3 9", "ModifyDate": "2020:01:02 03:04:05"},
        **{"DateTimeOriginal": "2019:01:02 03:04:05", "OffsetTimeOriginal": "+01:00", "ISO": "100", "ExposureTime": "0.02"},
        **{"UserComment": "in the mill", "LensModel": "L1", "InteropIndex": "R98", "XPTitle": "Títle", "Rating": "4"},
        **{"GPSLatitude": "47.5", "GPSLatitudeRef": "N", "GPSLongitude": "8.5", "GPSLongitudeRef": "E"},
        **{"ExifImageWidth": "816", "ExifImageHeight": "1104", "XResolution": "300", "YResolution": "200", "ResolutionUnit#": "2"},
    },
    "XMP-dc": {"Title": "Kant", "Subject": "letters"},
    "XMP-xmp": {"Rating": "4", "CreatorTool": "a scanner"},
    "IPTC": {"Caption-Abstract": "mill", "Keywords": "letters"},
    "Photoshop": {"CopyrightFlag": "1"},
}
OF_THE_PICTURE = re.compile(
    r"(File|ExifTool|Composite|QuickTime|Jpeg2000|JFIF|RIFF|PNG):.*|SourceFile|EXIF:(IFD[01]|ExifIFD):(Image|ExifImage)(Width|Height)"
    r"|.*Orientation|EXIF:IFD\d:(Strip.*|RowsPerStrip)|XMP:XMP-tiff:.*|PNG:.*(Width|Height)"
)
"""Of how pixels are stored, and of the kind of file."""
RESOLUTION = re.compile(r"(EXIF|Photoshop).*:([XY])Resolution")
TURNS = pytest.mark.parametrize("turn", [(90, 0.0), (0, 3.0)], ids=["quarter", "straightened"])


def original(kind, folder, *more):
    """A page of that kind which says everything that it can; it is stored sideways."""
    path = folder / f"original{SUFFIXES[kind]}"
    picture = lying(page().crop((0, 0, 816, 1104)), 90).convert("RGB")
    profile = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    if kind == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(picture).save(path)
    elif kind == "several":
        picture.save(path, "TIFF", save_all=True, append_images=[picture.convert("L")], compression="tiff_lzw", **profile)
    else:
        picture.save(path, kind, **({} if kind == "JPEG2000" else profile))
    said = [f"-{group}:{name}={value}" for group, tags in SAID.items() for name, value in tags.items()]
    subprocess.run(["exiftool", "-q", "-q", "-overwrite_original", *said, *more, path], check=True)
    return path


def copied(path, turn):
    data = path.read_bytes()
    format_ = formats.sniff(data)
    copy = path.with_name(f"copy{path.suffix}{page_files.SUFFIXES.get(format_, '')}")
    with copy.open("xb+") as file:
        page_files.write(format_, data, Changes({0: turn}), file, 10**9)
    return copy


def differences(before, after, *, swapped=False):
    """What the copy does not say, or says otherwise; `swapped` if what was across is up and down in it."""
    found = []
    for name, values in before.items():
        if OF_THE_PICTURE.fullmatch(name):
            continue
        at = RESOLUTION.fullmatch(name)
        other = name.replace(f"{at[2]}Resolution", f"{'YX'['XY'.index(at[2])]}Resolution") if at and swapped else name
        if after.get(other) != values:
            found.append(f"{name}: {dict(values)} is {dict(after.get(other, {}))}")
    return found


@TURNS
@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_copy_says_what_its_original_says(kind, turn, tmp_path):
    path = original(kind, tmp_path)
    before, after = read_tags([path, copied(path, turn)])
    assert differences(before, after, swapped=turn[0] == 90) == []
    assert sum(not OF_THE_PICTURE.fullmatch(name) for name in before) > 30
    assert "ExifTool:Warning" not in after
