"""https on loopback with a certificate that nobody else has signed: --ca-file names it, and without it no key is sent."""

import shutil
import subprocess
from functools import partial

import pytest
from support import fake_immich, sky_library
from support.server_photos import landscape

from orientd.errors import ExitCode

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def certify(tmp_path):
    """Makes a certificate for a name, and its key, in PEM: the paths of both."""

    def certify(name):
        made = [tmp_path / f"{what}-{name.replace(':', '-')}.pem" for what in ("certificate", "private")]
        where = ["-subj", "/CN=photos", "-addext", f"subjectAltName={name}", "-days", "2"]
        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command = ["openssl", *new, *where, "-keyout", made[1], "-out", made[0]]
        subprocess.run(command, check=True, capture_output=True)
        return made

    return certify


@pytest.fixture
def serve(fake):
    servers = []

    def serve(certificate, private):
        servers.append(fake_immich.Running(fake, ssl_certfile=str(certificate), ssl_keyfile=str(private)))
        return servers[-1].url

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def scan(orientd, key_file, tmp_path):
    return partial(orientd, "immich", "scan", "--key-file", key_file, "-q", "--report", tmp_path / "plan.csv", "--overwrite")


def test_a_certificate_of_its_own_is_named(orientd, scan, fake, certify, serve, tmp_path, capsys):
    fake.add(landscape(90), "photo.jpg")
    certificate, private = certify("IP:127.0.0.1")
    url = serve(certificate, private)
    assert url.startswith("https://")
    assert scan("--url", url) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert f"{url} is not trusted (self-signed certificate)" in told
    assert "--ca-file" in told
    assert fake.asked == []
    assert scan("--url", url, "--ca-file", certificate) == ExitCode.OK
    assert capsys.readouterr().err == ""
    assert orientd("apply", tmp_path / "plan.csv", "-q", "--report", tmp_path / "done.csv") == ExitCode.OK
    assert [row["outcome"] for row in sky_library.rows(tmp_path / "done.csv").values()] == ["fixed"]


def test_the_certificate_of_another_host_is_not_believed(scan, fake, certify, serve, capsys):
    certificate, private = certify("DNS:photos.example.com")
    assert scan("--url", serve(certificate, private), "--ca-file", certificate) == ExitCode.USAGE
    assert "is not trusted" in capsys.readouterr().err
    assert fake.asked == []


def test_who_listens_without_encryption_gets_no_key_over_https(scan, fake, running, capsys):
    assert scan("--url", running.url.replace("http:", "https:")) == ExitCode.UNAVAILABLE
    assert "does not answer" in capsys.readouterr().err
    assert fake.keys == []
