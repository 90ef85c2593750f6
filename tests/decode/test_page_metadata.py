"""What a copy of a page says of it is what its original says: each tag that exiftool finds, but those of stored pixels."""

import re
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin, TiffImagePlugin
from support.drawn_pages import jpeg, lying, page
from support.referee import HAS_EXIFTOOL, read_tags

from orientd import formats
from orientd.decode import page_files, page_tags
from orientd.decode.page_changes import Changes

pytestmark = pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
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
        "Make": "Acme",
        "Model": "S1",
        "Software": "scanner 7",
        "Artist": "Ada",
        "Copyright": "Ada, 2020",
        "HostComputer": "pc",
        "ImageDescription": "ledger",
        "DocumentName": "Kant",
        "PageName": "p. 7",
        "PageNumber": "3 9",
        "ModifyDate": "2020:01:02 03:04:05",
        "DateTimeOriginal": "2019:01:02 03:04:05",
        "OffsetTimeOriginal": "+01:00",
        "ISO": "100",
        "ExposureTime": "0.02",
        "UserComment": "in the mill",
        "LensModel": "L1",
        "InteropIndex": "R98",
        "XPTitle": "Títle",
        "Rating": "4",
        "GPSLatitude": "47.5",
        "GPSLatitudeRef": "N",
        "GPSLongitude": "8.5",
        "GPSLongitudeRef": "E",
        "ExifImageWidth": "816",
        "ExifImageHeight": "1104",
        "XResolution": "300",
        "YResolution": "200",
        "ResolutionUnit#": "2",
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


@TURNS
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "several", "WEBP"])
def test_exif_in_the_other_byte_order_is_kept_as_it_is(kind, turn, tmp_path):
    path = original(kind, tmp_path, "-ExifByteOrder=II") if kind in ("JPEG", "WEBP") else turned_around(original(kind, tmp_path))
    before, after = read_tags([path, copied(path, turn)])
    assert differences(before, after, swapped=turn[0] == 90) == []
    assert before["File:ExifByteOrder"] == after["File:ExifByteOrder"]


def turned_around(path):
    """A TIFF of the other byte order, with the same tags."""
    other = path.with_stem("around")
    data = [np.asarray(frame) for frame in ImageSequence.Iterator(Image.open(BytesIO(path.read_bytes())))]
    out = BytesIO()
    writer = page_tags.Writer(out, "big")
    image = TiffImagePlugin.TiffImageFile(BytesIO(path.read_bytes()))
    for number, pixels in enumerate(data):
        image.seek(number)
        tags = page_tags.swapped(page_tags.read(image)) | {259: page_tags.number("big", 1, 3), 278: page_tags.number("big", 2000)}
        writer.add({tag: value for tag, value in tags.items() if tag != 317}, page_tags.Pieces([pixels.tobytes()]))
    other.write_bytes(out.getvalue())
    return other


@pytest.mark.parametrize("name", ["canon-digital-ixus-400.jpg", "panasonic-lz2.jpg", "iphone-7.heic", "issue-487.heic"])
def test_the_notes_of_a_camera_stay_readable_in_a_jpeg(name, tmp_path):
    if not (CORPUS / name).exists():
        pytest.skip("needs the corpus")
    path = tmp_path / name
    path.write_bytes((CORPUS / name).read_bytes())
    before, after = read_tags([path, copied(path, (0, 3.0))])
    notes = {tag for tag in before if tag.startswith("MakerNotes:") and ":Samsung:" not in tag}  # that is a trailer
    assert {tag for tag in notes if before[tag] != after.get(tag)} == set()
    assert len(notes) > 20 or "487" in name
    assert "EXIF:IFD1:ThumbnailImage" not in after
    assert "ExifTool:Warning" not in after


def test_no_thumbnail_stays_behind_in_a_copy(tmp_path):
    (tmp_path / "small.jpg").write_bytes(small := jpeg(page().resize((80, 104)).convert("RGB")))
    path = original(
        "JPEG", tmp_path, f"-ThumbnailImage<={tmp_path / 'small.jpg'}", f"-PhotoshopThumbnail<={tmp_path / 'small.jpg'}"
    )
    assert path.read_bytes().count(small[-200:]) == 2
    copy = copied(path, (0, 3.0))
    assert small[-200:] not in copy.read_bytes()
    before, after = read_tags([path, copy])
    lost = {re.sub(":.*", "", found) for found in differences(before, after) if not re.search(r"IFD1|Thumbnail", found)}
    assert lost == set()


def test_a_png_says_what_its_colors_are(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">L", 100_000))
    info.add(b"cHRM", struct.pack(">8L", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    (path := tmp_path / "original.png").write_bytes(packed(page(), "PNG", pnginfo=info))
    before, after = read_tags([path, copied(path, (0, 3.0))])
    assert {
        name for name in before if ("Gamma" in name or "Chroma" in name or "PNG-cHRM" in name) and before[name] != after.get(name)
    } == set()
    assert "PNG:Gamma" in after


def packed(picture, format_, **options):
    picture.save(out := BytesIO(), format_, **options)
    return out.getvalue()
