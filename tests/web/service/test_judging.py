"""What is answered of pictures: what orientd inspect, a scan and orientd pages say, and files that all programs show upright."""

import hashlib
import io
import json
import os
import re
import struct
import sys
import zlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import drawn_pages, signed_files, sky_library
from support.serving import client_of
from support.turnable_jpegs import needs_turbojpeg

from orientd import app, formats, orientation
from orientd.config import load
from orientd.errors import PhotoError
from orientd.formats import c2pa
from orientd.library import others, sidecars
from orientd.orientation import TURNS, inverse
from orientd.pages.judge import judge
from orientd.pipeline.page_run import make_ask
from orientd.records import Format
from orientd.web.service.judging import Judging
from orientd.witnesses.opened import MODELS

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
PATH = "/v1/orientation"


def config(**more):
    return load(os.devnull, {}, {"max_pixels": 50_000_000, **more})


@pytest.fixture(scope="module")
def client():
    with client_of(Judging(config(), lambda said: None), queue=64) as client:
        yield client


@pytest.fixture(scope="module")
def sky(model):
    with client_of(Judging(config(model=str(model)), lambda said: None)) as client:
        yield client


def landscape(turn, stored=1, kind="JPEG", size=(96, 64), **more):
    """A file that needs a turn of so many degrees clockwise beyond what it stores, as bytes."""
    shown = sky_library.landscape(1, *size).rotate(turn, expand=True)
    pixels = orientation.apply(np.asarray(shown), inverse(stored))
    exif, file = Image.Exif(), io.BytesIO()
    exif[sky_library.ORIENTATION] = stored
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, kind, exif=exif, **more)
    return file.getvalue()


def needs(data, stored=None):
    """How far a landscape must be turned, as a program sees it that obeys its orientation, or takes it for `stored`."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.getexif().get(sky_library.ORIENTATION, 1) if stored is None else stored
        found = 1 if image.format == "TIFF" and stored is None else found  # Pillow turns it
        pixels = orientation.apply(np.asarray(image.convert("L")).astype(int), found)
    height, width = pixels.shape
    halves = (pixels[: height // 2], pixels[:, : width // 2], pixels[height // 2 :], pixels[:, width // 2 :])
    return 90 * int(np.argmax([half.mean() for half in halves]))


@cache
def corpus():
    files = sorted(CORPUS.glob("*.*")) if CORPUS.is_dir() else []
    return [path for path in files if path.suffix in (".jpg", ".heic", ".png", ".webp") and path.stat().st_size < 5e6][:10]


def drawn(folder):
    """A page and two faces of paper: what makes some witnesses speak."""
    place = folder / "page.png"
    drawn_pages.lying(drawn_pages.page(), 90).save(place)
    return [place, sky_library.draw(folder / "sky.jpg", 180)]


def seen(path):
    """What inspect tells of a file, or why nothing."""
    try:
        return app.inspect(config(), str(path), print).values(), None
    except PhotoError as error:
        return None, error.code


def test_the_answers_are_those_of_inspect(client, tmp_path):
    for path in [*drawn(tmp_path), *corpus()]:
        data, alone = path.read_bytes(), tmp_path / "alone" / path.name  # a corpus lies among sidecars
        alone.parent.mkdir(exist_ok=True)
        alone.write_bytes(data)
        answers = [client.send_form(f"{PATH}?detail={detail}", (path.name, data)) for detail in ("full", "usual")]
        inspected, code = seen(alone)
        if code:
            assert {answer.json["reason_code"] for answer in answers} == {code}
            continue
        inspected = json.loads(json.dumps({name: value for name, value in inspected.items() if name != "path"}))
        full, usual = (answer.json["images"][0] for answer in answers)
        for one in full["witnesses"]:
            one.pop("frames")
        assert {name: full[name] for name in inspected} == inspected, path.name
        shared = set(usual) & set(inspected)
        assert shared >= {"turn", "confidence", "probabilities", "decision", "reason_code", "sha256"}
        assert {name: usual[name] for name in shared} == {name: inspected[name] for name in shared}
        assert (usual["name"], usual["evidence"]) == (path.name, full["evidence"])


def test_the_page_has_a_name_for_every_witness():
    script = (files("orientd.web.service") / "static" / "picture.js").read_text(encoding="utf-8")
    (names,) = re.findall(r"^const WITNESSES = \{(.*)\};$", script, re.MULTILINE)
    assert {"scene", *MODELS} <= set(re.findall(r'"?([\w-]+)"?: "', names))


def test_a_form_of_several_with_broken_ones(sky):
    files = [("a.jpg", landscape(90)), ("b.jpg", b"\xff\xd8\xff\xe0 broken"), ("c.txt", b"no picture"), ("d.jpg", landscape(0))]
    files.append(("e.jpg", b""))
    answer = sky.send_form(PATH, *files)
    found = [(one["name"], one.get("turn"), one.get("status"), one["reason_code"]) for one in answer.json["images"]]
    assert answer.status == 200
    assert found == [
        ("a.jpg", 90, None, None),
        ("b.jpg", None, 422, "damaged"),
        ("c.txt", None, 415, "unknown_content"),
        ("d.jpg", 0, None, None),
        ("e.jpg", None, 422, "damaged"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("a.jpg", b"no picture", 415, "unknown_content"),
        ("a.jpg", landscape(0)[:900], 422, "damaged"),
        ("a.dng", b"II*\0" + bytes(100), 415, "raw_file"),
        ("a.jxl", b"\xff\x0a" + bytes(100), 415, "unsupported"),
        ("a.jpg", landscape(0)[:2], 415, "unknown_content"),
    ],
)
def test_what_cannot_be_judged_is_told_with_its_reason(sky, name, data, status, code):
    answer = sky.send_form(PATH, (name, data))
    assert (answer.status, answer.json["reason_code"]) == (status, code)
    assert answer.json["error"]


def png(width, height, rows=b"", *chunks):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def test_two_hundred_megapixels_are_too_large_whatever_they_weigh(sky):
    for data in (png(20_000, 10_000, bytes(10**6)), png(60_000, 60_000)):
        assert len(data) < 10_000
        answer = sky.send(PATH, data)
        assert (answer.status, answer.json["reason_code"]) == (413, "too_large")
        for path in ("/v1/page", f"{PATH}?return=preview", f"{PATH}?return=image", f"{PATH}?detail=full"):
            assert sky.send(path, data).status == 413, path


def test_a_zip_bomb_is_bounded(sky):
    """Rows, and texts, that unpack to a hundred times what the picture has."""
    bomb = zlib.compress(bytes(2 * 10**8), 9)
    text = b"Raw profile type exif\0\0" + bomb
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    for data in (png(64, 64, bytes(2 * 10**8)), png(64, 64, (b"\0" + bytes(192)) * 64, chunk)):
        assert len(data) < 400_000
        assert sky.send(PATH, data).status in (200, 422)
        assert sky.send(f"{PATH}?detail=full", data).status in (200, 422)


def turned(client, data, path=f"{PATH}?return=image", **headers):
    answer = client.send(path, data, {"content-type": "application/octet-stream", **headers})
    assert answer.status == 200, answer.text
    return answer.body, answer.headers


@needs_turbojpeg
@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("turn", TURNS)
def test_a_jpeg_comes_back_upright_for_every_program(sky, turn, stored):
    data = landscape(turn, stored)
    body, headers = turned(sky, data)
    assert (headers["content-type"], headers["orientd-turn"]) == ("image/jpeg", str(turn))
    assert needs(body) == needs(body, stored=1) == 0
    new = orientation.turned(stored, turn)
    how = "nothing" if (turn, stored) == (0, 1) else "orientation" if new == 1 else "pixels"
    assert headers["orientd-changed"] == how
    if how != "pixels":
        assert (body == data) == (how == "nothing")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("turn", [90, 180])
def test_what_stores_pixels_without_loss_loses_none(sky, kind, turn):
    data = landscape(turn, kind=kind)
    body, headers = turned(sky, data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").rotate(-turn, expand=True))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(body)).convert("RGB")), expected)
    assert headers["orientd-changed"] == ("pixels" if kind == "PNG" else "packed")
    assert needs(body, stored=1) == 0


@pytest.mark.parametrize(
    ("kind", "more"), [("WEBP", {"lossless": True}), ("WEBP", {"quality": 90}), ("JPEG", {"size": (101, 67)}), ("JPEG2000", {})]
)
@pytest.mark.parametrize("stored", [1, 6])
def test_what_cannot_be_turned_without_loss_is_packed_again(sky, kind, more, stored):
    stored = 1 if kind == "JPEG2000" else stored
    body, headers = turned(sky, landscape(90, stored, kind, **more))
    assert needs(body) == needs(body, stored=1) == 0
    assert headers["orientd-changed"] == ("pixels" if more.get("lossless") else "packed")
    assert formats.stored_orientation(formats.sniff(body), body) in (None, 1)


def test_heif_is_turned_by_what_its_programs_obey(sky):
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(sky_library.landscape(1).rotate(90, expand=True)).save(file, quality=90)
    body, headers = turned(sky, file.getvalue())
    assert (headers["content-type"], headers["orientd-changed"]) == ("image/heic", "orientation")
    seen = pillow_heif.open_heif(io.BytesIO(body)).to_pillow()
    assert np.asarray(seen)[: seen.height // 2].mean() > np.asarray(seen)[seen.height // 2 :].mean() + 50
    again, headers = turned(sky, body)
    assert (again == body, headers["orientd-changed"]) == (True, "nothing")


@pytest.mark.parametrize("kind", signed_files.KINDS)
def test_a_signature_that_is_broken_does_not_stay(sky, kind):
    """What comes back of a signed photo is not signed, as any change breaks that."""
    data = signed_files.photo(kind, turn=90)
    assert c2pa.is_signed(formats.sniff(data), data)
    body, headers = turned(sky, data)
    assert headers["orientd-changed"] == "packed"
    assert not c2pa.is_signed(formats.sniff(body), body)
    same, headers = turned(sky, signed_files.photo(kind, turn=0))
    assert (headers["orientd-changed"], same) == ("nothing", signed_files.photo(kind, turn=0))


def test_of_several_pictures_none_is_lost(sky):
    frames = [sky_library.landscape(seed).rotate(90, expand=True) for seed in range(3)]
    for kind in ("GIF", "TIFF", "WEBP"):
        frames[0].save(file := io.BytesIO(), kind, save_all=True, append_images=frames[1:])
        answer = sky.send(f"{PATH}?return=image", file.getvalue())
        assert (answer.status, answer.json["reason_code"]) == (422, "several_pictures"), kind


def test_a_preview_is_small_and_as_it_was_sent(sky):
    body, headers = turned(sky, landscape(90, kind="TIFF", size=(2400, 1600)), f"{PATH}?return=preview")
    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size) == ("JPEG", (683, 1024))
    assert needs(body) == 90
    assert "orientd-turn" not in headers


def page(needed, kind="PNG", **more):
    drawn_pages.lying(drawn_pages.page(), needed).save(file := io.BytesIO(), kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("needed", [0, 90, 3.7, 180 - 4.2, 270 + 8])
def test_a_page_is_told_by_how_much_to_turn_and_comes_back_straight(sky, needed):
    data = page(needed)
    (found,) = sky.send_form("/v1/page", ("scan.png", data)).json["images"]
    assert (found["angle"] + found["turn"] - needed + 180) % 360 - 180 == pytest.approx(0, abs=0.2)
    assert (found["decision"], found["name"]) == ("keep" if needed == 0 else "fix", "scan.png")
    assert found["confidence"] > 0.8
    body, headers = turned(sky, data, "/v1/page?return=image")
    assert headers["orientd-changed"] == {0: "nothing", 90: "pixels"}.get(needed, "packed")
    straight = judge(drawn_pages.levels(Image.open(io.BytesIO(body))), make_ask())
    assert abs(straight.total) < 0.2


def test_pages_that_are_none(sky):
    (found,) = sky.send_form("/v1/page", ("a.jpg", landscape(90))).json["images"]
    assert (found["decision"], found["reason_code"]) == ("unsure", "no_text")
    assert sky.send("/v1/page", b"%PDF-1.7 ").json["reason_code"] == "unknown_content", "images only"
    first, second = (drawn_pages.page(seed=seed) for seed in (1, 2))
    first.save(file := io.BytesIO(), "TIFF", save_all=True, append_images=[second])
    answer = sky.send("/v1/page", file.getvalue())
    assert (answer.status, answer.json["reason_code"]) == (422, "several_pictures")


def test_names_are_told_and_lead_nowhere(sky, tmp_path):
    """A name is no path: what lies there is neither read nor written, nor is what lies beside it."""
    place = tmp_path / "x.jpg"
    place.write_bytes(landscape(90))
    (tmp_path / "x.jpg.xmp").write_text("no sidecar of this")
    before = hashlib.sha256(place.read_bytes()).digest(), os.listdir(tmp_path)
    (found,) = sky.send_form(f"{PATH}?detail=full", (str(place), landscape(180))).json["images"]
    assert (found["turn"], found["name"], found["refusal"]) == (180, str(place), None)
    odd = "a\u202e\x01\ud83d.jpg".encode("utf-8", "surrogatepass").decode("latin-1")
    (found,) = sky.send_form(PATH, (odd, landscape(0))).json["images"]
    assert found["name"].isprintable()
    assert (hashlib.sha256(place.read_bytes()).digest(), os.listdir(tmp_path)) == before


def test_no_file_is_looked_for_or_opened(sky, monkeypatch, tmp_path):
    """Not even beside a path that is empty."""
    opened = []

    def forbidden(*_):
        raise AssertionError("it looks for what lies beside a photo")

    for module, name in ((sidecars, "check_silent"), (sidecars, "find"), (others, "check")):
        monkeypatch.setattr(module, name, forbidden)
    monkeypatch.chdir(tmp_path)
    for query in ("", "?detail=full", "?return=image", "?return=preview"):
        sky.send(PATH + query, landscape(90))  # all that is imported late is there
    watching = [True]
    sys.addaudithook(
        lambda event, args: opened.append(args) if watching and event in ("open", "os.listdir", "os.scandir") else None
    )
    try:
        for query in ("", "?detail=full", "?return=image", "?return=preview"):
            answer = sky.send_form(PATH + query, (str(tmp_path / "x.jpg"), landscape(90)))
            assert answer.status == 200
            if query in ("", "?detail=full"):
                assert answer.json["images"][0].get("refusal") is None
    finally:
        watching.clear()
    assert opened == []


def test_a_graphics_card_is_asked_about_many_at_once(model):
    """By a card that is played: groups go to it whole; what it would turn is looked at without it, too."""
    from dataclasses import replace

    from orientd.records import Prediction

    groups = []

    class Card:
        batch, weight = 4, 10**9

        def __call__(self, photos):
            groups.append(len(photos))
            pictures = [judging._judge.decode(photo) for photo in photos]
            sure = {True: (0.999, 0.0005, 0.0004, 0.0001), False: (0.0005, 0.999, 0.0004, 0.0001)}
            rows = [sure[picture.pixels[:20].mean() > picture.pixels[-20:].mean() + 50] for picture in pictures]
            return [(picture, Prediction(row, (row,))) for picture, row in zip(pictures, rows, strict=True)]

    judging = Judging(config(model=str(model)), lambda said: None)
    judging._judge = replace(judging._judge, batch_predictor=Card())
    with client_of(judging, batch=judging.batch, latency=60) as client:
        files = [(f"{turn}.jpg", landscape(turn)) for turn in (0, 90, 180, 270)]
        answer = client.send_form(PATH, *files)
        assert [one["turn"] for one in answer.json["images"]] == [0, 90, 180, 270]
        assert groups == [4]


def test_the_formats_have_their_types():
    from orientd.web.service.judging import _MEDIA

    assert set(_MEDIA) == set(Format) - {Format.RAW, Format.JPEG_XL, Format.UNKNOWN}
