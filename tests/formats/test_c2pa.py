"""Whether content is signed: in every container, by a manifest in the file or one that XMP links to; then nothing is planned."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import heif_files, jpeg_files, png_webp_tiff_files, sky_library
from support import signed_files as signed
from support.referee import HAS_EXIFTOOL

from orientd.errors import Refused, Signed
from orientd.formats import c2pa, heif, needs_sidecar, plan, sniff
from orientd.records import Format

CASE = Path(__file__).parents[3] / "shared" / "corpus" / "cases" / "c2pa_remote_manifest.jpg"
IMAGE = sky_library.landscape()
TEXT = "in the family since 1920"


def is_signed(data):
    return c2pa.is_signed(sniff(data), data)


@pytest.mark.parametrize("kind", signed.KINDS)
@pytest.mark.parametrize("how", signed.HOW)
def test_a_signed_photo_is_known_and_never_written(kind, how):
    plain, data = signed.photo(kind, "not"), signed.photo(kind, how)
    assert (is_signed(plain), is_signed(data)) == (False, True)
    assert plan(sniff(plain), plain, 6).splices
    with pytest.raises(Signed, match=r"content credentials \(C2PA\).*--sidecar write"):
        plan(sniff(data), data, 6)
    assert (needs_sidecar(sniff(plain), plain), needs_sidecar(sniff(data), data)) == (False, True)


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
@pytest.mark.parametrize(
    ("kind", "how"), [("JPEG", "embedded"), ("PNG", "embedded"), *((kind, "linked") for kind in signed.KINDS)]
)  # exiftool 12.57 knows no manifests in the other containers
def test_exiftool_finds_the_manifest_that_was_drawn(kind, how, tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(signed.photo(kind, how))
    command = ["exiftool", "-s3", "-JUMDLabel" if how == "embedded" else "-XMP-dcterms:Provenance", path]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[0]
    assert told == ("c2pa" if how == "embedded" else signed.LINK)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_files.with_segments(
            jpeg_files.app1(jpeg_files.tiff(jpeg_files.Recipe())),
            jpeg_files.app1(b""),
            jpeg_files.segment(0xEB, signed.IN_JPEG),
        ),
        png_webp_tiff_files.png(
            png_webp_tiff_files.Png(
                others=(
                    png_webp_tiff_files.png_chunk(b"acTL"),
                    png_webp_tiff_files.png_chunk(b"caBX"),
                    png_webp_tiff_files.png_chunk(b"IHDR"),
                )
            )
        ),
        png_webp_tiff_files.riff(
            png_webp_tiff_files.webp_header(2),
            png_webp_tiff_files.webp_chunk(b"ANIM", b""),
            png_webp_tiff_files.webp_chunk(b"C2PA", b""),
        ),
        heif_files.build(heif_files.Recipe(turns=("imir0",), extra_top=signed.MANIFEST_BOX)),
    ],
    ids=["two EXIF segments", "animation", "animated", "mirror alone"],
)
def test_that_it_is_signed_weighs_more_than_any_other_fault(data):
    with pytest.raises(Signed):
        plan(sniff(data), data, 6)


def test_a_signature_is_seen_in_the_first_part_of_a_photo():
    data = signed.photo("JPEG")
    assert is_signed(data[:99])
    assert not is_signed(data[:20])


@pytest.mark.parametrize(
    ("xmp", "expected"),
    [
        (signed.packet(), True),
        (signed.packet("dcterms:provenance='http://localhost/x.c2pa'"), True),
        (signed.packet("", f"<dcterms:provenance>\n {signed.LINK} </dcterms:provenance>"), True),
        (signed.packet("", f"<dcterms:title>a b</dcterms:title><dcterms:provenance>{signed.LINK}</dcterms:provenance>"), True),
        (signed.packet("", f'<dcterms:provenance rdf:resource="{signed.LINK}"/>'), True),
        (signed.packet('xmlns:q="http://purl.org/dc/terms/" q:provenance="https://x&#47;y"'), True),
        (signed.packet().decode().encode("utf-16"), True),
        (signed.packet()[:-9] + b"\0\0\0", True),
        (signed.packet(f'dcterms:provenance="{TEXT}"'), False),
        (signed.packet('dcterms:provenance="self#jumbf=/c2pa/urn:uuid:1/c2pa.claim"'), False),
        (signed.packet(f'xmlns:q="urn:mine" q:provenance="{signed.LINK}"'), False),
        (signed.packet(f'dcterms:source="{signed.LINK}"'), False),
        (signed.packet("", f"<dcterms:title>dcterms:provenance=\"{signed.LINK}\"</dcterms:title>"), False),
        (signed.packet("", f'<dcterms:hasPart rdf:parseType="Resource"><dcterms:provenance>{signed.LINK}</dcterms:provenance>'
                           "</dcterms:hasPart>"), False),
        (signed.packet("") + b"\0\0", False),
        (b"", False),
    ],
)  # fmt: skip
def test_only_a_link_makes_xmp_one_that_tells_of_a_manifest(xmp, expected):
    assert is_signed(signed.with_xmp("JPEG", IMAGE, xmp)) == expected
    assert is_signed(signed.with_xmp("PNG", IMAGE, xmp)) == expected


def test_compressed_xmp_is_read_and_text_that_is_none_passed_over():
    plain = signed.photo("PNG", "not")
    odd = png_webp_tiff_files.png_chunk(b"tEXt", b"Raw profile type xmp\0") + png_webp_tiff_files.png_chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\1"
    )
    assert is_signed(plain[:33] + odd + png_webp_tiff_files.png_xmp(signed.packet(), compressed=True) + plain[33:])
    assert not is_signed(plain[:33] + odd + plain[33:])


def test_other_boxes_of_a_heif_that_make_it_signed():
    for top in (
        heif_files.box(b"jumb", b"c2pa"),
        heif_files.box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), signed.packet()),
    ):
        data = heif_files.build(heif_files.Recipe(extra_top=top))
        assert is_signed(data)
        with pytest.raises(Signed):
            heif.plan(data, 6)
    for top in (heif_files.box(b"uuid", bytes(16), signed.packet()), heif_files.box(b"uuid", b"short")):
        assert not is_signed(heif_files.build(heif_files.Recipe(extra_top=top)))


@given(data=st.data())
def test_bytes_that_were_damaged_raise_nothing(data):
    good = signed.photo(data.draw(st.sampled_from(signed.KINDS)), data.draw(st.sampled_from(signed.HOW)))
    at = data.draw(st.integers(0, min(len(good), 1500)))
    bad = good[:at] + data.draw(st.binary(max_size=9)) + good[at + data.draw(st.integers(0, 9)) :]
    for cut in (bad, bad[:at]):
        for kind in Format:
            assert c2pa.is_signed(kind, cut) in (True, False)
        with suppress(Refused):
            plan(sniff(cut), cut, 6)


def test_the_case_of_a_stranger():
    if not CASE.exists():
        pytest.skip("the shared corpus is not there")
    assert is_signed(CASE.read_bytes())
