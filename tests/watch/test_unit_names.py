"""Names of folders that mean something to systemd: what it understands of the units that install writes is what was meant."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orientd.watch.units import unit_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
AWKWARD = [
    "a b",
    "100%",
    "%n",
    'say "photos"',
    "it's",
    "back\\slash",
    'both\\"',
    "ends\\",
    "$HOME",
    "${HOME}",
    "semi ;",
    "#1",
    "-dash",
    "[a]*?",
    "ü \u00a0 \u2028 \u202e",
    "ends ",
    "a=b",
    "~",
    "@x:y!",
]


@pytest.fixture
def read_back():
    """Have systemd read a unit and tell what it understood: gives (command, what may be written). It does not do so for root."""
    manager = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), None)
    if not manager:
        pytest.skip("systemd is not installed")
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)

        def read(text):
            Path(folder, "odd.service").write_text(f"[Service]\n{text}", encoding="utf-8")
            told = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": os.defpath}
            command = [manager, "--user", "--test", "--unit=odd.service"]
            ran = subprocess.run(command, env=told, cwd="/", capture_output=True, text=True, timeout=100, check=False, **user)
            said = ran.stdout.partition("-> Unit odd.service:")[2].partition("-> Unit ")[0]
            found = dict(re.findall(r"^\t*(Command Line|ReadWritePaths): (.*)$", said, flags=re.MULTILINE))
            assert len(found) == 2, ran.stderr
            shell = ["sh", "-c", f"printf '%s\\0' {found['Command Line']}"]
            words = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split("\0")
            return [word.replace("$$", "$") for word in words[:-1]], found["ReadWritePaths"]

        try:
            plain = read('ExecStart=/bin/true "a b"\nReadWritePaths=/srv\n')
        except AssertionError as error:
            pytest.skip(f"this systemd does not tell: {error}")
        if plain != (["/bin/true", "a b"], "/srv"):
            pytest.skip(f"this systemd tells otherwise: {plain}")
        yield read


def test_systemd_understands_awkward_names(read_back):
    names = [f"/srv/{name}" for name in AWKWARD]
    drop_in = unit_files.drop_in(unit_files.quoted("/bin/true", "watch", *names), "", names)
    command, written = read_back(drop_in.partition("[Service]\n")[2])
    assert command == ["/bin/true", "watch", *names]
    assert written == " ".join(f"-{name}" for name in names)


def test_systemd_would_not_understand_them_as_they_are(read_back):
    command, written = read_back('ExecStart=/bin/true "/srv/100%n"\nReadWritePaths="-/srv/100%%n"\n')
    assert command == ["/bin/true", "/srv/100odd.service"]
    assert written == "-/srv/100%n"
