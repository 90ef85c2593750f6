"""Signed photos of every kind: drawn landscapes with a manifest in them, or with XMP that links to one elsewhere (C2PA)."""

from support import decodable_photos, heif_files, jpeg_files, png_webp_tiff_files, sky_library

from orientd.formats import plan, sniff

LINK = "https://manifests.example/urn-c2pa-1"
MANIFEST = heif_files.box(b"jumb", heif_files.box(b"jumd", b"c2pa" + bytes.fromhex("00110010800000aa00389b71") + b"\3c2pa\0"))
IN_JPEG = b"JP\0\1\0\0\0\1" + MANIFEST
MANIFEST_BOX = heif_files.box(
    b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), bytes(4), b"manifest\0", bytes(8), MANIFEST
)
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
HOW = ("embedded", "linked")
_HEADER = 33  # bytes of a PNG up to the end of IHDR


def packet(attributes=f'dcterms:provenance="{LINK}"', inside=""):
    """XMP whose description has these attributes and holds that."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" {attributes}>{inside}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def photo(kind, how="embedded", turn=0, seed=0, stored=1):
    """A landscape that needs `turn` degrees clockwise to be upright if it is shown as stored, which it says is `stored`.

    how: embedded, linked, or anything else for one that is not signed. A linked HEIF or AVIF stores nothing but 1.
    """
    image = sky_library.landscape(seed).rotate(turn, expand=True)
    if how == "linked":
        return with_xmp(kind, image, packet(), stored)
    if kind == "TIFF":
        return _tiff(image, stored, {0xCD41: MANIFEST} if how == "embedded" else {})
    data = _storing(decodable_photos.encode(image, kind), stored)
    return _with_manifest(kind, data, image) if how == "embedded" else data


def with_xmp(kind, image, xmp, stored=1):
    if kind == "TIFF":
        return _tiff(image, stored, {0x2BC: xmp})
    if kind in ("HEIF", "AVIF"):
        assert stored == 1
        return decodable_photos.encode(image, kind, xmp=xmp)
    data = _storing(decodable_photos.encode(image, kind), stored)
    if kind == "JPEG":
        return data[:2] + jpeg_files.xmp_segment(xmp) + data[2:]
    if kind == "PNG":
        return data[:_HEADER] + png_webp_tiff_files.png_xmp(xmp) + data[_HEADER:]
    return _with_chunk(data, image, b"XMP ", xmp)


def _with_manifest(kind, data, image):
    if kind == "JPEG":
        return data[:2] + jpeg_files.segment(0xEB, IN_JPEG) + data[2:]
    if kind == "PNG":
        return data[:_HEADER] + png_webp_tiff_files.png_chunk(b"caBX", MANIFEST) + data[_HEADER:]
    return _with_chunk(data, image, b"C2PA", MANIFEST) if kind == "WEBP" else data + MANIFEST_BOX


def _storing(data, stored):
    return plan(sniff(data), data, stored).apply(data) if stored != 1 else data


def _tiff(image, stored, tags):
    return decodable_photos.encode(image, "TIFF", tiffinfo={0x112: stored, **tags})


def _with_chunk(data, image, name, body):
    """A WebP with one chunk more, and the header that makes room for it."""
    chunks, _ = png_webp_tiff_files.split_webp(data)
    flags = 0x04 if name == b"XMP " else 0
    if chunks[0][0] == b"VP8X":
        chunks[0] = b"VP8X", bytes([chunks[0][1][0] | flags]) + chunks[0][1][1:]
    else:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in image.size)
        chunks.insert(0, (b"VP8X", bytes([flags, 0, 0, 0]) + sides))
    return png_webp_tiff_files.riff(*(png_webp_tiff_files.webp_chunk(*chunk) for chunk in [*chunks, (name, body)]))
