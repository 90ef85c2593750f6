"""XMP sidecars: the orientation in the file next to a photo, and the patch that changes it (XMP specification, part 1, section
7).

Other programs keep a person's work in a sidecar: ratings, captions, edits. So it is never rewritten: a digit is changed, or an
attribute is added, and every other byte stays. Anything that is not clearly understood is refused.
"""

import re
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr, unescape

from orientd.errors import Refused
from orientd.formats import xmp
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_TIFF: Final = "http://ns.adobe.com/tiff/1.0/"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ABOVE: Final[tuple[list[str], ...]] = ([], ["adobe:ns:meta/ xmpmeta"], ["adobe:ns:meta/ xapmeta"])
_TAG: Final = re.compile(rb"<[^\s/>]+")
_EXTENSION: Final = re.compile(rb"""SidecarForExtension\s*(?:=\s*(?:"([^"<]*)"|'([^'<]*)')|>([^<]*))""")
_QUOTED: Final = {"&quot;": '"', "&#9;": "\t", "&#10;": "\n", "&#13;": "\r"}  # as `quoteattr` does, besides what `unescape` knows
_ENCODINGS: Final = (None, "utf-8", "us-ascii", "ascii")

_FRESH: Final = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""{extension}
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    tiff:Orientation="{orientation}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
_FOR: Final = """
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    photoshop:SidecarForExtension={}"""


def stored(packet: bytes) -> int | None:
    """The orientation a sidecar stores, exactly as found (0–9); None if it stores none.

    Raises:
        Refused: it stores several that differ, or one in a form that is not understood.
    """
    values = {digit.value for digit in xmp.find(packet)}
    if len(values) > 1:
        raise Refused(Reason.ORIENTATIONS_DISAGREE, f"it stores several orientations: {', '.join(map(str, sorted(values)))}")
    return values.pop() if values else None


def plan(packet: bytes, orientation: int) -> Patch:
    """The patch that makes a sidecar store `orientation` (1–8): a digit, or an attribute of the first `rdf:Description`.

    Raises:
        Refused: it is not well-formed, not in UTF-8, or built in a way that is not understood; the message says which.
    """
    outline = _Outline(packet)
    if stored(packet) is not None:
        return Patch(tuple(xmp.patch(xmp.find(packet), orientation)))
    return Patch((outline.insertion(orientation),))


def fresh(orientation: int, extension: str = "") -> bytes:
    """A new sidecar that says `orientation` (1–8) and, in Adobe's way, for files of which `extension` it is, such as CR2."""
    said = _FOR.format(quoteattr(extension)) if extension else ""
    return _FRESH.format(extension=said, orientation=orientation).encode()


def extension(packet: bytes) -> str:
    """The extension, exactly as written there, of the photos a sidecar says it is for; empty if it does not say."""
    found = _EXTENSION.search(packet)
    return unescape(found[found.lastindex or 0].decode("utf-8", "replace"), _QUOTED) if found else ""


class _Outline:
    """Where the first description of a packet starts, and which prefixes hold there.

    Raises:
        Refused: the packet is not the plain one of a sidecar in UTF-8.
    """

    def __init__(self, packet: bytes) -> None:
        self._packet = packet
        self._path: list[str] = []
        self._scope: list[tuple[str | None, str]] = []
        self._first: tuple[int, dict[str | None, str]] | None = None
        self._abouts: set[str] = set()
        self._graphs = 0
        try:
            packet.decode("utf-8")
            self._parser().Parse(packet, True)
        except UnicodeDecodeError as error:
            raise Refused(Reason.SIDECAR_UNCLEAR, "it is not in UTF-8") from error
        except expat.ExpatError as error:
            raise Refused(Reason.SIDECAR_UNCLEAR, f"it is not well-formed XML ({error})") from error
        if self._graphs != 1 or self._first is None:
            raise Refused(Reason.SIDECAR_UNCLEAR, "it does not hold one RDF graph with a description of the photo")
        if len(self._abouts) > 1:
            raise Refused(Reason.SIDECAR_UNCLEAR, "it describes several things")

    def insertion(self, orientation: int) -> Splice:
        assert self._first
        start, scope = self._first
        tag = _TAG.match(self._packet, start)
        prefix = next((name for name, space in scope.items() if name and space == _TIFF), None)
        if tag is None or (prefix is None and "tiff" in scope):
            raise Refused(Reason.SIDECAR_UNCLEAR, "its names are used in an unusual way")
        declared = "" if prefix else f' xmlns:tiff="{_TIFF}"'
        return Splice(tag.end(), b"", f'{declared} {prefix or "tiff"}:Orientation="{orientation}"'.encode())

    def _parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = lambda prefix, space: self._scope.append((prefix, space or ""))
        parser.EndNamespaceDeclHandler = lambda _prefix: self._scope.pop()
        parser.StartElementHandler = lambda name, attributes: self._start(name, attributes, parser.CurrentByteIndex)
        parser.EndElementHandler = lambda _name: self._path.pop()
        return parser

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding and encoding.lower()) not in _ENCODINGS:
            raise Refused(Reason.SIDECAR_UNCLEAR, f"it says that it is in {encoding}, not in UTF-8")

    def _doctype(self, *_: object) -> None:
        raise Refused(Reason.SIDECAR_UNCLEAR, "it has a document type, which no program writes into a sidecar")

    def _start(self, name: str, attributes: dict[str, str], place: int) -> None:
        if name == f"{_RDF} RDF" and self._path in _ABOVE:
            self._graphs += 1
        if name == f"{_RDF} Description" and self._path[:-1] in _ABOVE and self._path[-1] == f"{_RDF} RDF":
            self._abouts.add(attributes.get(f"{_RDF} about") or attributes.get("about") or "")
            self._first = self._first or (place, dict(self._scope))
        self._path.append(name)
