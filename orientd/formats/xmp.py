"""`tiff:Orientation` inside an XMP packet (XMP specification, part 1, sections 6 and 7; part 2, section 3.4).

The packet is read by a real XML parser, so that prefixes, comments, entities and look-alikes in a caption cannot mislead, and
changed digit for digit, so that not one other byte of it moves.
"""

import re
from codecs import BOM_UTF16_LE
from typing import Final, NamedTuple
from xml.parsers import expat

from orientd import orientation as group
from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Splice

_NAME: Final = "http://ns.adobe.com/tiff/1.0/ Orientation "
_SIGNS: Final = (b"http://ns.adobe.com/tiff/1.0/", b"tiff:Orientation")
_PROVENANCE: Final = "http://purl.org/dc/terms/ provenance"
_RESOURCE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# resource"
_SPHERES: Final = "http://ns.google.com/photos/1.0/panorama/ "
_FLAT: Final = {"", "rectilinear"}
_URI: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:\S+\s*")  # not self#jumbf=…, a manifest in the file itself
_PARENTS: Final = ["http://www.w3.org/1999/02/22-rdf-syntax-ns# " + name for name in ("RDF", "Description")]
_END: Final = re.compile(rb"<\?xpacket end=[\"'][rw][\"'] ?\?>")
_TAG: Final = re.compile(rb"<[^\s/>]+")
_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=<>"']+)\s*=\s*("[^"]*"|'[^']*')""")


class Digit(NamedTuple):
    """An orientation as stored: the one digit at `offset` of the packet that says `value`."""

    offset: int
    value: int


def find(packet: bytes) -> list[Digit]:
    """The orientations of the image the packet describes, as an attribute or as an element.

    Raises:
        Refused: the packet is not well-formed, holds an orientation that is not one plain digit, or says that the image is a
            panorama for sphere viewers, which have its top from there, so that turned it is always wrong.
    """
    _check_flat(packet)
    if b"Orientation" not in packet.replace(b"\0", b""):
        return []
    return _Finder(_unpadded(packet)).found


def find_within(data: bytes, start: int, end: int) -> list[Digit]:
    """As `find`, for the packet that is the bytes `start` to `end` of a photo; offsets are those of the file.

    What is left there of a longer packet, behind the end of a shorter one that took its place, is not read.
    """
    packet = data[start:end]
    last = _END.search(packet)
    if last and not any(name in packet[last.end() :].replace(b"\0", b"") for name in (b"Orientation", _SPHERES.strip().encode())):
        packet = packet[: last.end()]
    return [Digit(start + digit.offset, digit.value) for digit in find(packet)]


def links_manifest(packet: bytes) -> bool:
    """True if the packet links to a C2PA manifest that is kept elsewhere: `dcterms:provenance` is a URI, not a text.

    True as well if it mentions a provenance and is not well-formed XML: other readers may find the link.
    """
    if b"provenance" not in packet.replace(b"\0", b""):
        return False
    try:
        return any(_URI.fullmatch(value) for value in _values(packet.rstrip(b"\0"), _PROVENANCE))
    except expat.ExpatError:
        return True


def _unpadded(packet: bytes) -> bytes:
    """Without the zeros that some writers put behind the packet; in UTF-16 with the low byte first, one belongs to it."""
    return packet.rstrip(b"\0") + (b"\0" if packet.startswith(BOM_UTF16_LE) else b"")


def _check_flat(packet: bytes) -> None:
    """See Google's Photo Sphere XMP: the projection says which way is up, for a part of a sphere too."""
    if _SPHERES.strip().encode() not in packet.replace(b"\0", b""):
        return
    try:
        kinds, *uses = (
            {value.strip().lower() for value in _values(_unpadded(packet), _SPHERES + name)}
            for name in ("ProjectionType", "UsePanoramaViewer", "IsPhotosphere")
        )
    except expat.ExpatError as error:
        raise Refused(Reason.BROKEN_METADATA, f"broken XMP: {error}") from error
    if kinds - _FLAT or any("true" in values for values in uses):
        raise Refused(
            Reason.NOT_TO_BE_TURNED,
            "a panorama that viewers show on a sphere (GPano in XMP): turned it would always be displayed wrongly",
        )


def check_agreement(value: int | None, digits: list[Digit]) -> None:
    """Viewers obey EXIF and other programs obey XMP: where they disagree nobody knows how the photo was seen.

    Raises:
        Refused: a digit means another orientation than the EXIF value (None: absent).
    """
    for digit in digits:
        if group.normalise(digit.value) != group.normalise(value):
            says = "nothing" if value is None else value
            raise Refused(
                Reason.ORIENTATIONS_DISAGREE, f"EXIF says {says}, XMP says {digit.value}: viewers disagree about this photo"
            )


def patch(digits: list[Digit], orientation: int) -> list[Splice]:
    """The splices that make each digit say `orientation` (1–8)."""
    return [Splice(digit.offset, b"%d" % digit.value, b"%d" % orientation) for digit in digits if digit.value != orientation]


def _values(packet: bytes, name: str) -> list[str]:
    """What the packet says under a name (namespace, space, local name) of the image it describes.

    Raises:
        expat.ExpatError: it is not well-formed.
    """
    path: list[str] = []
    found: list[str] = []
    texts: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if path[-2:] == _PARENTS:
            found.extend(value for key, value in attributes.items() if key == name)
        elif tag == name:
            found.extend(value for key, value in attributes.items() if key == _RESOURCE)
        texts.clear()

    def end(tag: str) -> None:
        path.pop()
        if tag == name and path[-2:] == _PARENTS:
            found.append("".join(texts))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, texts.append
    parser.Parse(packet, True)
    return found


class _Finder:
    def __init__(self, packet: bytes) -> None:
        self.found: list[Digit] = []
        self._packet = packet
        self._path: list[str] = []
        self._texts: list[tuple[int, str]] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.namespace_prefixes = True
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text
        self._parser.EndElementHandler = self._end
        try:
            self._parser.Parse(packet, True)
        except expat.ExpatError as error:
            if any(name in packet.replace(b"\0", b"") for name in _SIGNS):
                raise Refused(Reason.BROKEN_METADATA, f"broken XMP: {error}") from error
            self.found.clear()  # whoever reads it nevertheless finds no such name in it

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(" ".join(name.split(" ")[:2]))
        if self._path[-2:] == _PARENTS:
            for prefix in (key.removeprefix(_NAME) for key in attributes if key.startswith(_NAME)):
                self._attribute(prefix.encode() + b":Orientation")
        self._texts.clear()

    def _text(self, text: str) -> None:
        self._texts.append((self._parser.CurrentByteIndex, text))

    def _end(self, _name: str) -> None:
        if self._path.pop() == _NAME.rstrip() and self._path[-2:] == _PARENTS:
            written = [(offset, text.encode()) for offset, text in self._texts if text.strip()]
            self._add(*(written[0] if len(written) == 1 else (0, b"".join(text for _, text in written))))
        self._texts.clear()

    def _attribute(self, wanted: bytes) -> None:
        """Find the value in the packet itself: the parser reports where a tag starts, not where its attributes do."""
        tag = _TAG.match(self._packet, self._parser.CurrentByteIndex)
        place = tag.end() if tag else 0
        while (attribute := _ATTRIBUTE.match(self._packet, place)) and attribute[1] != wanted:
            place = attribute.end()
        if attribute is None:
            raise Refused(Reason.UNUSUAL, "XMP holds an orientation in a form that cannot be changed in place")
        self._add(attribute.start(2) + 1, attribute[2][1:-1])

    def _add(self, offset: int, written: bytes) -> None:
        digit = written.strip()
        offset += len(written) - len(written.lstrip())
        if not re.fullmatch(rb"[0-9]", digit) or self._packet[offset : offset + 1] != digit:
            raise Refused(
                Reason.UNUSUAL, f"XMP holds the orientation {written.decode(errors='replace')!r}, which is not one plain digit"
            )
        self.found.append(Digit(offset, int(digit)))
