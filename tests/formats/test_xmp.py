import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg_files

from orientd.errors import Refused
from orientd.formats import xmp

TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
FORMS = [form for form in jpeg_files.XMP_FORMS if form != "no orientation"]


def described(inside: str, attributes: str = "") -> bytes:
    return f"<rdf:RDF {RDF}><rdf:Description {TIFF} {attributes}>{inside}</rdf:Description></rdf:RDF>".encode()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("value", [0, 1, 6, 8, 9])
def test_finds_the_digit_in_every_form(form, wrapped, value):
    packet = jpeg_files.packet(form, value, wrapped)
    [digit] = xmp.find(packet)
    assert digit.value == value
    changed = packet[: digit.offset] + b"3" + packet[digit.offset + 1 :]
    assert changed == jpeg_files.packet(form, 3, wrapped)


def test_finds_nothing_where_there_is_nothing():
    assert xmp.find(b"") == []
    assert xmp.find(jpeg_files.packet("no orientation", 1)) == []


@pytest.mark.parametrize(
    "packet",
    [
        described("<tiff:ImageDescription>&lt;tiff:Orientation>6&lt;/tiff:Orientation></tiff:ImageDescription>"),
        described("<tiff:ImageDescription>tiff:Orientation=\"6\" tiff:Orientation='6'</tiff:ImageDescription>"),
        described("<!-- <tiff:Orientation>6</tiff:Orientation> -->"),
        described("<![CDATA[<tiff:Orientation>6</tiff:Orientation>]]>"),
        described('<tiff:Orientation xmlns:tiff="http://example.org/">6</tiff:Orientation>'),
        described('<other rdf:parseType="Resource"><tiff:Orientation>6</tiff:Orientation></other>'),
        described('<other><rdf:Description tiff:Orientation="6"/></other>'),
        described("", 'Orientation="6" rdf:Orientation="6"'),
        described("<tiff:Orientations>6</tiff:Orientations>"),
    ],
)
def test_is_not_misled_by_look_alikes(packet):
    assert xmp.find(packet) == []


def test_finds_every_one_of_several_and_the_right_attribute_among_look_alikes():
    packet = described(
        "<tiff:Orientation>8</tiff:Orientation>", 'rdf:Orientation="5" tiff:Make=" tiff:Orientation=7 " tiff:Orientation="6"'
    )
    assert sorted(digit.value for digit in xmp.find(packet)) == [6, 8]
    assert all(packet[digit.offset : digit.offset + 1] == b"%d" % digit.value for digit in xmp.find(packet))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (described("", 'tiff:Orientation="10"'), "not one plain digit"),
        (described("", 'tiff:Orientation=""'), "not one plain digit"),
        (described("", 'tiff:Orientation="&#54;"'), "not one plain digit"),
        (described("<tiff:Orientation>&#54;</tiff:Orientation>"), "not one plain digit"),
        (described("<tiff:Orientation>Rotate 90 CW</tiff:Orientation>"), "not one plain digit"),
        (described("<tiff:Orientation><!-- -->6<!-- -->7</tiff:Orientation>"), "not one plain digit"),
        (described('<tiff:Orientation rdf:value="6"/>'), "not one plain digit"),
        (described("<tiff:Orientation><rdf:value>6</rdf:value></tiff:Orientation>"), "not one plain digit"),
        (described("<tiff:Orientation>٦</tiff:Orientation>"), "not one plain digit"),
        (described("<tiff:Orientation>6</tiff:Orientation>")[:-9], "broken XMP"),
        (b"<rdf:RDF><rdf:Description tiff:Orientation='6'/></rdf:RDF>", "broken XMP"),
        (described("", 'tiff:Orientation="6"').decode().encode("utf-16-be"), "a form that cannot be changed"),
        (described("<tiff:Orientation>6</tiff:Orientation>").decode().encode("utf-16-be"), "not one plain digit"),
    ],
)
def test_refuses_what_cannot_be_changed_digit_for_digit(packet, reason):
    with pytest.raises(Refused, match=reason):
        xmp.find(packet)


def test_padding_of_zeros_is_no_fault():
    packet = jpeg_files.packet("element", 6, wrapped=False)
    assert xmp.find(packet + b"\0" * 100) == xmp.find(packet)


def test_remains_of_a_longer_packet_behind_the_end_are_no_fault():
    packet = jpeg_files.packet("element", 6)
    assert packet.endswith(b'<?xpacket end="w"?>')
    remains = packet[packet.index(b"</rdf:RDF>") - 3 :]
    data = b"before" + packet + remains
    with pytest.raises(Refused, match="broken XMP"):
        xmp.find(packet + remains)
    assert xmp.find_within(data, 6, len(data)) == xmp.find_within(data, 6, 6 + len(packet))
    for told in (b"<x tiff:Orientation='8'/>", b"<t:Orientation>8", b"<x xmlns:g='http://ns.google.com/photos/1.0/panorama/'/>"):
        with pytest.raises(Refused, match="broken XMP"):
            xmp.find_within(data + told, 6, len(data + told))


@given(st.binary(max_size=40), st.integers(0, 400), st.sampled_from(FORMS))
def test_damaged_packets_are_refused_or_read_but_never_fail(noise, place, form):
    packet = jpeg_files.packet(form, 6)
    damaged = packet[:place] + noise + packet[place + len(noise) :]
    try:
        digits = xmp.find(damaged)
    except Refused:
        return
    assert all(damaged[digit.offset : digit.offset + 1] == b"%d" % digit.value for digit in digits)
