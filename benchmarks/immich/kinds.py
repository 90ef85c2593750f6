"""How orientd judges each kind of photo on a real Immich, how Immich itself answers a request to turn it, and a scan by https.

    python -m benchmarks.immich.kinds --url http://127.0.0.1:2283 --key-file admin.key --out FOLDER --photo FILE.jpg

The key is one of an administrator. FILE.jpg is a photo that is sideways; all kinds are made of it (that needs ffmpeg and
openssl) and uploaded to a fresh user; an external library is made of FOLDER/external, which the server must be able to read.
"""

import argparse
import csv
import io
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pillow_heif
from PIL import Image, ImageOps

from benchmarks.immich.gate import Gate
from benchmarks.immich.talk import Talk
from benchmarks.immich.trial import orientd

_TURN = {"edits": [{"action": "rotate", "parameters": {"angle": 90}}]}
_PANORAMA = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    'GPano:ProjectionType="equirectangular"/></rdf:RDF></x:xmpmeta>'
)
_VIDEO = ("-loop", "1", "-t", "1", "-r", "5", "-pix_fmt", "yuv420p", "-vf", "scale=320:-2")


def kinds(photo: Path, folder: Path) -> Iterator[Path]:
    """Files of all kinds of image, and a video."""
    pillow_heif.register_heif_opener()
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    image.thumbnail((1600, 1600))
    small = image.resize((image.width // 4, image.height // 4))
    moving = {"save_all": True, "append_images": [small.point(lambda value: value // 2)], "duration": 300}
    for name, what, more in [
        ("photo.jpg", image, {}),
        ("photo.png", image, {}),
        ("photo.webp", image, {}),
        ("photo.heic", image, {}),
        ("photo.avif", image, {}),
        ("photo.tif", image, {}),
        ("still.gif", image, {}),
        ("moving.gif", small, moving),
        ("moving.webp", small, moving),
        ("moving.png", small, moving),
        ("panorama.jpg", image, {"xmp": _PANORAMA.encode()}),
    ]:
        what.save(folder / name, **more)
        yield folder / name
    out = folder / "video.mp4"
    subprocess.run(["ffmpeg", "-y", *_VIDEO[:4], "-i", folder / "photo.jpg", *_VIDEO[4:], out], check=True, capture_output=True)
    yield out


def another(photo: Path, quality: int) -> bytes:
    """The same photo as another file."""
    ImageOps.exif_transpose(Image.open(photo)).convert("RGB").save(out := io.BytesIO(), "JPEG", quality=quality)
    return out.getvalue()


def upload(user: Talk, photo: Path, folder: Path) -> dict[str, str]:
    """Ids of all kinds, a live photo among them, by their names."""
    found = {file.name: user.upload(file.name, file.read_bytes()) for file in kinds(photo, folder)}
    moving = (folder / "video.mp4").read_bytes() + b"\0\0\0\x08free"
    clip = user.upload("live.mov", moving)
    found["live.jpg"] = user.upload("live.jpg", another(photo, 91), livePhotoVideoId=clip)
    return found


def says(user: Talk, photo: str) -> str:
    """Immich's answer to a request to turn the photo, which is taken back afterwards."""
    try:
        user.ask("PUT", f"assets/{photo}/edits", _TURN)
    except httpx.HTTPStatusError as error:
        return f"{error.response.status_code}: {error.response.json()['message']}"
    user.ask("DELETE", f"assets/{photo}/edits")
    return "turns it"


def external(admin: Talk, user: Talk, photo: Path, folder: Path) -> str:
    """The id of an external library with one photo."""
    folder.mkdir()
    (folder / "outside.jpg").write_bytes(another(photo, 92))
    wanted = {"ownerId": user.ask("GET", "users/me")["id"], "importPaths": [str(folder)], "name": "outside"}
    made = str(admin.ask("POST", "libraries", wanted)["id"])
    admin.ask("POST", f"libraries/{made}/scan")
    admin.until(lambda: admin.ask("GET", f"libraries/{made}/statistics")["total"] == 1)
    return made


def by_https(url: str, out: Path, key: Path) -> Iterator[str]:
    """Scans through a gate with a certificate that nobody else has signed: without a word of it, and with --ca-file."""
    where = ["-subj", "/CN=photos", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made = ["-keyout", out / "private.pem", "-out", out / "certificate.pem"]
    subprocess.run(["openssl", *new, *where, *made], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(out / "certificate.pem", out / "private.pem")
    with Gate(url, tls) as gate:
        given = ["immich", "scan", "--url", gate.url, "--key-file", key, "--report", out / "https.csv"]
        done = orientd(out / "https", *given, ends=range(256))
        yield f"without --ca-file: {done.code}, {len(gate.calls)} calls; {done.lines[-1]} {done.said.strip()}"
        done = orientd(out / "https", *given, "--ca-file", out / "certificate.pem", ends=(0, 3))
        yield f"with --ca-file: {done.code}, {len(gate.calls)} calls; {done.lines[-1]} {done.said.strip()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photo", type=Path, required=True)
    given = parser.parse_args()
    out = given.out.resolve()
    (out / "files").mkdir(parents=True)
    admin = Talk(given.url, given.key_file.read_text().strip())
    user = admin.user()
    user.key_file(key := out / "key")
    found = upload(user, given.photo, out / "files")
    library = external(admin, user, given.photo, out / "external")
    admin.settled()
    scan = ["immich", "scan", "--url", given.url, "--key-file", key, "--name", "kinds", "--report"]
    for more in ([], ["--library", library]):
        report = out / f"report{len(more)}.csv"
        done = orientd(out / "state", *scan, report, *more, ends=(0, 3))
        rows = {row["path"].split("/")[1]: row for row in csv.DictReader(report.open())}
        print(f"{len(rows)} rows {' '.join(more)}; {done.lines[-1]} {done.said.strip()}")
    names = {photo: name for name, photo in found.items()}
    for photo, row in rows.items():
        name = names.get(photo, row["path"])
        print(f"{name}: {row['decision']} {row['turn']} {row['reason_code']}; Immich {says(user, photo)}")
    print(*by_https(given.url, out, key), sep="\n")


if __name__ == "__main__":
    main()
