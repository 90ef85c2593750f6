"""A picture that viewers show on a sphere has its top from there: it is never turned, in no container."""

import pytest
from support import heif_files, jpeg_files, png_webp_tiff_files
from support.jpeg_files import Recipe, app1, tiff, with_segments

from orientd.errors import Refused
from orientd.formats import jpeg, plan, sidecar, xmp
from orientd.records import Format

NAMESPACE = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'


def packet(inside: str, attributes: str = "", encoding: str = "utf-8") -> bytes:
    text = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    return text.encode(encoding)


def attribute(name: str, value: str, prefix: str = "GPano") -> bytes:
    return packet("", f'{NAMESPACE.replace("GPano", prefix)} {prefix}:{name}="{value}"')


def element(name: str, value: str) -> bytes:
    return packet(f"<GPano:{name}>{value}</GPano:{name}>", NAMESPACE)


WHOLE = packet("", f'{NAMESPACE} GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="1200"')
SPHERES = {
    "attribute": attribute("ProjectionType", "equirectangular"),
    "element": element("ProjectionType", "equirectangular"),
    "other prefix": attribute("ProjectionType", "equirectangular", "g"),
    "in UTF-16": packet("<GPano:ProjectionType>equirectangular</GPano:ProjectionType>", NAMESPACE, "utf-16"),
    "padded": WHOLE + bytes(20),
    "part of a sphere": packet(
        "",
        f'{NAMESPACE} GPano:ProjectionType="equirectangular" '
        'GPano:CroppedAreaImageWidthPixels="600" GPano:FullPanoWidthPixels="1200"',
    ),
    "cylinder": attribute("ProjectionType", "Cylindrical"),
    "for a viewer": attribute("UsePanoramaViewer", "True"),
    "photo sphere": element("IsPhotosphere", "true"),
}
FLAT = {
    "nothing of the kind": packet("", 'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg"'),
    "namespace alone": packet("", NAMESPACE),
    "flat": attribute("ProjectionType", "rectilinear"),
    "for no viewer": attribute("UsePanoramaViewer", "False"),
    "in a caption": packet(
        "<dc:title>GPano:ProjectionType equirectangular</dc:title>", 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ),
    "under another name": packet("", 'xmlns:GPano="http://example.org/" GPano:ProjectionType="equirectangular"'),
    "of something within": packet(
        f'<a:part {NAMESPACE} rdf:parseType="Resource"><GPano:ProjectionType>equirectangular</GPano:ProjectionType></a:part>',
        'xmlns:a="http://example.org/"',
    ),
}


@pytest.mark.parametrize("form", SPHERES)
def test_a_sphere_is_refused_in_every_form(form):
    with pytest.raises(Refused, match="sphere"):
        xmp.find(SPHERES[form])


@pytest.mark.parametrize("form", FLAT)
def test_what_is_flat_is_not(form):
    assert xmp.find(FLAT[form]) == []


def test_a_broken_packet_about_a_sphere_is_refused():
    with pytest.raises(Refused, match="broken XMP"):
        xmp.find(WHOLE[:-20])


@pytest.mark.parametrize("recipe", [None, Recipe(), Recipe(orientations=())], ids=["no EXIF", "in place", "grown"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_no_jpeg_that_is_one_is_turned(recipe, orientation):
    data = with_segments(*([app1(tiff(recipe))] if recipe else []), jpeg_files.xmp_segment(WHOLE))
    with pytest.raises(Refused, match="sphere"):
        plan(Format.JPEG, data, orientation)
    assert jpeg.stored(data) == (1 if recipe and recipe.orientations else None)


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.TIFF, Format.HEIF])
def test_no_other_file_that_is_one_is_turned(monkeypatch, kind):
    form = f'<rdf:Description rdf:about="" {NAMESPACE} GPano:ProjectionType="equirectangular"/>'
    drawn = {}
    for name in ("sphere", "no orientation"):
        monkeypatch.setitem(jpeg_files.XMP_FORMS, "sphere", form)
        drawn[name] = {
            Format.PNG: lambda xmp: png_webp_tiff_files.png(png_webp_tiff_files.Png(exif=Recipe(), xmp=xmp)),
            Format.WEBP: lambda xmp: png_webp_tiff_files.webp(png_webp_tiff_files.Webp(exif=Recipe(), xmp=xmp)),
            Format.TIFF: lambda xmp: png_webp_tiff_files.tiff(png_webp_tiff_files.Tiff(xmp=xmp)),
            Format.HEIF: lambda xmp: heif_files.build(heif_files.Recipe(xmp=xmp)),
        }[kind](name)
    assert plan(kind, drawn["no orientation"], 6).splices
    with pytest.raises(Refused, match="sphere"):
        plan(kind, drawn["sphere"], 6)


def test_a_sidecar_that_says_so_is_not_changed():
    with pytest.raises(Refused, match="sphere"):
        sidecar.plan(WHOLE, 6)
