"""PDFs whose page is a scan in the codecs of scanners: fax (CCITT), JBIG2 and JPEG 2000 (ISO 32000-1, 7.4.6 to 7.4.9); encrypted,
too (7.6)."""

from hashlib import md5
from io import BytesIO

from PIL import Image, TiffImagePlugin


def pdf(*objects: bytes, trailer: str = "") -> bytes:
    """A PDF of these objects, the first of which is the catalog."""
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer << /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF"
    return out + f"xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode()


def stream(told: str, data: bytes) -> bytes:
    return f"<< {told} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def coded_pdf(image: Image.Image, codec: str, own: str = "", *, locked: bool = False) -> bytes:
    """A PDF of one page, filled by the picture in one of `CODECS`; `own` are more entries of the page.

    If `locked` it opens without a password, and may not be changed without that of its owner."""
    told, data = CODECS[codec](image)
    key, trailer = _lock() if locked else (b"", "")
    width, height = image.size
    wide, tall = width * 0.72, height * 0.72
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {wide} {tall}] /Contents 4 0 R {own}"
        " /Resources << /XObject << /I 5 0 R >> >> >>".encode(),
        stream("", _locked(key, 4, f"q {wide} 0 0 {tall} 0 0 cm /I Do Q".encode())),
        stream(f"/Type /XObject /Subtype /Image /Width {width} /Height {height} {told}", _locked(key, 5, data)),
        trailer=trailer,
    )


_BITS = "/ColorSpace /DeviceGray /BitsPerComponent 1"
_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
PERMISSIONS = -64  # nothing is permitted: not to print, to change, to copy


def _lock() -> tuple[bytes, str]:
    """A key, and the trailer that locks with it: revision 2, no password of the user."""
    owner = _rc4(md5((b"secret" + _PADDING)[:32]).digest()[:5], _PADDING)
    key = md5(_PADDING + owner + PERMISSIONS.to_bytes(4, "little", signed=True) + b"\0").digest()[:5]
    told = f"/Filter /Standard /V 1 /R 2 /P {PERMISSIONS} /O <{owner.hex()}> /U <{_rc4(key, _PADDING).hex()}>"
    return key, f"/ID [<00> <00>] /Encrypt << {told} >>"


def _locked(key: bytes, number: int, data: bytes) -> bytes:
    return _rc4(md5(key + number.to_bytes(3, "little") + bytes(2)).digest()[:10], data) if key else data


def _rc4(key: bytes, data: bytes) -> bytes:
    box, swap, out = list(range(256)), 0, bytearray(data)
    for place in range(256):
        swap = (swap + box[place] + key[place % len(key)]) % 256
        box[place], box[swap] = box[swap], box[place]
    swap = 0
    for at in range(len(out)):
        place = (at + 1) % 256
        swap = (swap + box[place]) % 256
        box[place], box[swap] = box[swap], box[place]
        out[at] ^= box[(box[place] + box[swap]) % 256]
    return bytes(out)


def _fax_data(image: Image.Image) -> bytes:
    """The picture in black and white, coded by ITU-T T.6, black being 1."""
    image.convert("1").save(out := BytesIO(), "TIFF", compression="group4", tiffinfo={TiffImagePlugin.ROWSPERSTRIP: image.height})
    written = Image.open(out)
    (place,), (size,) = (written.tag_v2[tag] for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS))
    assert written.tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] in (0, 1)
    return out.getvalue()[place : place + size]


def _fax(image: Image.Image) -> tuple[str, bytes]:
    black = _black_is_1(image)
    parameters = f"/K -1 /Columns {image.width} /Rows {image.height} /BlackIs1 {str(black).lower()}"
    told = f"{_BITS} /Filter /CCITTFaxDecode /DecodeParms << {parameters} >>"
    return told, _fax_data(image)


def _black_is_1(image: Image.Image) -> bool:
    """True if Pillow codes white as what fax calls black."""
    image.convert("1").save(out := BytesIO(), "TIFF", compression="group4")
    return Image.open(out).tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] == 1


def _jbig2(image: Image.Image) -> tuple[str, bytes]:
    """A page and a generic region coded as fax is (ITU-T T.88, 6.2.6, 7.4.6 and 7.4.8)."""
    sides = image.width.to_bytes(4, "big") + image.height.to_bytes(4, "big")
    region = sides + bytes(8) + b"\0" + b"\1" + _fax_data(image)  # at 0, 0; combined by OR; coded by MMR
    found = _segment(0, 48, sides + bytes(8) + b"\0" + bytes(2)) + _segment(1, 38, region)
    decode = "/Decode [1 0]" if _black_is_1(image) else ""
    return f"{_BITS} /Filter /JBIG2Decode {decode}", found


def _segment(number: int, kind: int, data: bytes) -> bytes:
    return number.to_bytes(4, "big") + bytes((kind, 0, 1)) + len(data).to_bytes(4, "big") + data


def _jpx(image: Image.Image) -> tuple[str, bytes]:
    image.save(out := BytesIO(), "JPEG2000", quality_mode="rates", quality_layers=[20])
    return "/Filter /JPXDecode", out.getvalue()


CODECS = {"fax": _fax, "jbig2": _jbig2, "jpx": _jpx}
