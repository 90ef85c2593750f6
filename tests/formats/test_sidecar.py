"""The bytes of a sidecar: what is read, what is changed, and above all what is not. exiftool is the referee where it is there."""

import json
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orientd.errors import Refused
from orientd.formats import sidecar

TIFF = "http://ns.adobe.com/tiff/1.0/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="1"
   darktable:history_end="8">
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="flip"
      darktable:params="ffffffff"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
LIGHTROOM = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.6">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
   tiff:Make="Canon" tiff:Orientation="1"
   photoshop:SidecarForExtension="CR2"/>
 </rdf:RDF>
</x:xmpmeta>"""
EXIFTOOL = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about=''
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Caf\xc3\xa9 tiff:Orientation="3"</rdf:li></rdf:Alt></dc:title>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:tiff='http://ns.adobe.com/tiff/1.0/'>
  <tiff:Orientation>8</tiff:Orientation>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""
BARE = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description/></rdf:RDF>'
REAL = {"darktable": DARKTABLE, "lightroom": LIGHTROOM, "exiftool": EXIFTOOL, "bare": BARE, "ours": sidecar.fresh(2, "NEF")}
REAL["byte order mark"] = b"\xef\xbb\xbf" + DARKTABLE
REAL["other line ends"] = DARKTABLE.replace(b"\n", b"\r\n")
REAL["other prefix"] = DARKTABLE.replace(b'rdf:about=""', b'rdf:about="" xmlns:t="http://ns.adobe.com/tiff/1.0/"', 1)
REAL["names declared"] = LIGHTROOM.replace(b' tiff:Orientation="1"', b"")
REAL["no encoding told"] = DARKTABLE.replace(b' encoding="UTF-8"', b"")
every_real = pytest.mark.parametrize("packet", REAL.values(), ids=REAL)
every_value = pytest.mark.parametrize("orientation", range(1, 9))


def swap(old, new, packet=DARKTABLE):
    assert old in packet
    return packet.replace(old, new)


def without_orientation(packet):
    """What a sidecar says but for the orientation, as another reader understands it."""
    tree = ElementTree.fromstring(packet)
    for node in tree.iter(f"{{{RDF}}}Description"):
        node.attrib.pop(f"{{{TIFF}}}Orientation", None)
        for child in node.findall(f"{{{TIFF}}}Orientation"):
            child.text = ""
    return ElementTree.canonicalize(ElementTree.tostring(tree))


def test_the_comparison_sees_a_difference():
    assert without_orientation(DARKTABLE) == without_orientation(REAL["byte order mark"])
    assert without_orientation(DARKTABLE) != without_orientation(DARKTABLE.replace(b'Rating="1"', b'Rating="2"'))
    assert without_orientation(EXIFTOOL) != without_orientation(EXIFTOOL.replace(b'tiff:Orientation="3"', b"", 1))


@pytest.mark.parametrize(("name", "value"), [("darktable", None), ("lightroom", 1), ("exiftool", 8), ("bare", None), ("ours", 2)])
def test_the_orientation_is_read(name, value):
    assert sidecar.stored(REAL[name]) == value


@every_real
@every_value
def test_one_digit_or_one_attribute_is_all_that_changes(packet, orientation):
    patch = sidecar.plan(packet, orientation)
    new = patch.apply(packet)
    assert sidecar.stored(new) == orientation
    assert sidecar.plan(new, orientation).splices == ()
    assert patch.inverse().apply(new) == packet
    assert len(patch.splices) <= 1
    if sidecar.stored(packet) is None:
        assert patch.splices[0].old == b""
        assert patch.splices[0].new.endswith(b'Orientation="%d"' % orientation)
        assert new.count(TIFF.encode()) == 1
    else:
        assert patch.keeps_length
    assert without_orientation(new) == without_orientation(packet)
    again = sidecar.plan(new, 9 - orientation)
    assert (again.keeps_length, sidecar.stored(again.apply(new))) == (True, 9 - orientation)


@every_value
def test_of_several_descriptions_the_first_gets_the_attribute(orientation):
    two = swap(b"<rdf:Description/>", b"<rdf:Description/><rdf:Description/>", BARE)
    (splice,) = sidecar.plan(two, orientation).splices
    assert splice.offset == two.index(b"<rdf:Description") + len(b"<rdf:Description")


@every_value
@pytest.mark.parametrize("extension", ["", "CR2", 'we"ird&<'])
def test_a_new_sidecar_reads_back(orientation, extension):
    new = sidecar.fresh(orientation, extension)
    assert sidecar.stored(new) == orientation
    assert ElementTree.fromstring(new.decode()) is not None
    assert sidecar.extension(sidecar.fresh(orientation, "NEF")) == "NEF"
    assert sidecar.extension(sidecar.fresh(orientation)) == sidecar.extension(DARKTABLE) == ""


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "not well-formed"),
        (DARKTABLE[:-20], "not well-formed"),
        (DARKTABLE + b"\0\0", "not well-formed"),
        (DARKTABLE.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "not in UTF-8"),
        (swap(b'Rating="1"', b'Rating="\xff"'), "not in UTF-8"),
        (swap(b"<rdf:Description/>", b"<rdf:Description/><rdf:Description rdf:about='x'/>", BARE), "describes several things"),
        (swap(b"<rdf:Description/>", b"<rdf:Description/><rdf:Description about='x'/>", BARE), "describes several things"),
        (b'<a xmlns:a="urn:a">' + BARE + b"</a>", "one RDF graph"),
        (swap(b"<rdf:Description/>", b"<rdf:li><rdf:Description/></rdf:li>", BARE), "one RDF graph"),
        (swap(b'"UTF-8"', b'"ISO-8859-1"'), "says that it is in ISO-8859-1"),
        (swap(b"<x:xmpmeta", b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta'), "document type"),
        (swap(b"rdf:RDF", b"rdf:Bag"), "does not hold one RDF graph"),
        (swap(b"rdf:Description", b"rdf:Thing"), "does not hold one RDF graph"),
        (swap(b"</rdf:RDF>", b"</rdf:RDF>" + BARE), "does not hold one RDF graph"),
        (swap(b"</rdf:RDF>", b'<rdf:Description rdf:about="other"/></rdf:RDF>'), "describes several things"),
        (swap(b"<x:xmpmeta", b'<x:xmpmeta xmlns:tiff="urn:other"'), "unusual way"),
        (LIGHTROOM.replace(b'Orientation="1"', b'Orientation="left"'), "not one plain digit"),
        (
            EXIFTOOL.replace(b"xmlns:dc=", b"xmlns:t='http://ns.adobe.com/tiff/1.0/' t:Orientation='3' xmlns:dc="),
            "several",
        ),
    ],
)
def test_what_is_not_plainly_understood_is_refused(packet, reason):
    with pytest.raises(Refused, match=reason):
        sidecar.plan(packet, 6)


@settings(max_examples=300)
@given(st.sampled_from(sorted(REAL)), st.data(), st.integers(1, 8))
def test_no_damage_leads_to_anything_but_one_small_change(name, data, orientation):
    bad = bytearray(REAL[name])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(bad)))
        bad[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=8))
    packet = bytes(bad)
    try:
        patch = sidecar.plan(packet, orientation)
    except Refused:
        return
    new = patch.apply(packet)
    assert sidecar.stored(new) == orientation
    assert patch.inverse().apply(new) == packet
    assert sum(len(splice.new) for splice in patch.splices) < 100
    assert without_orientation(new) == without_orientation(packet)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
def test_exiftool_sees_the_new_orientation_and_nothing_else_changed(tmp_path):
    def seen():
        command = ["exiftool", "-json", "-G1", "-n", "-struct", "-x", "System:all", *sorted(map(str, tmp_path.glob("*.xmp")))]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return {one.pop("SourceFile"): one for one in found}

    for number, packet in enumerate(REAL.values()):
        (tmp_path / f"{number}.xmp").write_bytes(packet)
    before = seen()
    for path in tmp_path.glob("*.xmp"):
        path.write_bytes(sidecar.plan(path.read_bytes(), 6).apply(path.read_bytes()))
    after = seen()
    assert len(after) == len(REAL)
    for path, told in after.items():
        assert told.pop("XMP-tiff:Orientation") == 6
        before[path].pop("XMP-tiff:Orientation", None)
    assert after == before
