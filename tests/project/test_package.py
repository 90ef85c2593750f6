"""What is published: the same bytes from the same sources, whole, well-formed, with the version in one place; and it works."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
from support import sky_library

import orientd

pytest.importorskip("hatchling")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
DATA = {
    "orientd": {"py.typed", "__init__.pyi", "report/output.schema.json", "report/page.css", "models/reference.py.txt"},
    "training/orientd_training": {"report/templates/model_card.md.j2", "export/page_likeness.json"},
}
CODE = {".py", ".pyc"}
WORKPLACE = shutil.ignore_patterns(
    ".git", ".venv*", "runs", "cache", "dist", "__pycache__", "*_cache", ".hypothesis", "*.egg-info"
)


def build(folder, out, umask):
    """A wheel and an sdist from a copy of the sources; `umask` and the time of the copy are those of another machine."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, umask=umask)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two copies of the working tree, made with other rights and at other times."""
    unpacked = [path for path in ROOT.iterdir() if not WORKPLACE(str(ROOT), [path.name])]
    names = [path.relative_to(ROOT) for top in unpacked for path in (sorted(top.rglob("*")) if top.is_dir() else [top])]
    names = [name for name in names if (ROOT / name).is_file() and not any(WORKPLACE("", [part]) for part in name.parts)]
    folders = [tmp_path_factory.mktemp("one") / "orientd", tmp_path_factory.mktemp("another") / "of another name"]
    for number, folder in enumerate(folders):
        for name in names if number else reversed(names):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place)
            place.chmod(0o600 if number else 0o644)
            os.utime(place, (10**9 + number, 10**9 + number))
    return folders


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    return build(sources[0], tmp_path_factory.mktemp("dist"), 0o022)


@pytest.fixture(scope="module")
def wheel(built):
    return built[0]


def test_the_same_sources_give_the_same_bytes(built, sources, tmp_path):
    again = build(sources[1], tmp_path, 0o077)
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_indexes_take_it_and_it_shows_as_meant(built):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_wheel_holds_what_a_wheel_should(wheel):
    pytest.importorskip("check_wheel_contents")
    command = [sys.executable, "-m", "check_wheel_contents", "--config", str(ROOT / "pyproject.toml"), str(wheel)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_nothing_stands_twice_but_licences(wheel):
    names = defaultdict(list)
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.file_size:
                names[entry.CRC, entry.file_size].append(entry.filename)
    twice = [name for same in names.values() if len(same) > 1 for name in same]
    assert [name for name in twice if "LICENSE" not in name] == []
    assert twice


def test_every_module_and_all_data_are_inside(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for folder, data in DATA.items():
        package = ROOT / folder
        wanted = {str(path.relative_to(package.parent)) for path in package.rglob("*.py")} | {
            f"{package.name}/{name}" for name in data
        }
        assert wanted <= inside
    others = [path for path in (ROOT / "orientd").rglob("*") if path.is_file() and path.suffix not in CODE]
    assert {str(path.relative_to(ROOT)) for path in others} <= inside, "models, witnesses, licences, schema, static files"
    assert {f"orientd/systemd/{path.name}" for path in (ROOT / "systemd").iterdir()} <= inside
    recipes = {f"orientd_training/recipes/{path.name}" for path in (ROOT / "configs" / "train").glob("*.yaml")}
    assert {
        name for name in inside if name.startswith("orientd_training/recipes/")
    } == recipes  # no logs, and no weights of 10 MB
    beside = f"orientd-{orientd.__version__}"
    tops = {"orientd", "orientd_training", f"{beside}.dist-info", f"{beside}.data"}
    assert {name.split("/")[0] for name in inside} == tops
    assert [name for name in inside if ".data/" in name] == [f"{beside}.data/data/share/man/man1/orientd.1"]


def test_the_sdist_has_the_tests_and_documents_and_nothing_of_the_workplace(built):
    with tarfile.open(built[1]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "tests/project/test_package.py", "docs/api.md", "configs/orientd.yaml"} <= names
    assert not [name for name in names if name.startswith((".ci", ".git/", ".venv", "shared"))]


def test_the_version_stands_in_one_place(wheel):
    assert wheel.name.startswith(f"orientd-{orientd.__version__}-py3-none-any")
    stated = re.compile(rf"""(?<![\d.])['"]{re.escape(orientd.__version__)}['"]""")
    package = [path for folder in DATA for path in (ROOT / folder).rglob("*.py*") if path.suffix in (".py", ".pyi")]
    found = [path for path in (*package, ROOT / "pyproject.toml") if stated.search(path.read_text(encoding="utf-8"))]
    assert [path.relative_to(ROOT).as_posix() for path in found] == ["orientd/__init__.py"]


def program():
    """What docs/api.md shows for a folder, with what it takes from the examples before."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    shown = page.partition("A program that judges a folder:")[2].split("```")[1]
    lines = [line[4:] for line in shown.splitlines() if line.startswith((">>> ", "... "))]
    before = ["from pathlib import Path", "from orientd import Detector", "detector = Detector()"]
    assert all(f">>> {line}\n" in page for line in before)
    assert len(before + lines) <= 10
    return "\n".join([*before, *lines, "import orientd; print(orientd.__file__)"])


def test_the_program_of_the_docs_judges_a_folder_once_the_wheel_is_installed(wheel, tmp_path, photos):
    """In a fresh environment; what it depends on is this one's."""
    venv.create(tmp_path / "fresh", symlinks=True)
    python = tmp_path / "fresh" / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    (place,) = (tmp_path / "fresh" / "lib").glob("*/site-packages")
    (place / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    sky_library.draw(photos / "a.jpg")
    (photos / "b.jpg").write_bytes(b"no photo")
    said = subprocess.run([str(python), "-c", program()], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-2:] == ["b.jpg cannot be judged: unknown_content", str(place / "orientd" / "__init__.py")]
    ran = subprocess.run([str(python.with_name("orientd")), "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"orientd, version {orientd.__version__}\n"
    command = [str(python), "-c", "from orientd import commands; print(commands.adding('web'))"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == f"run {python} -m pip install 'starlette>=1.0' 'uvicorn>=0.30'\n"


def test_what_is_inside_works_without_the_checkout(wheel, tmp_path):
    """Unpacked, which is what installing a pure wheel does; what it depends on is this environment's."""
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    environment = os.environ | {"PYTHONPATH": str(place)}

    def run(*arguments):
        command = [sys.executable, "-W", "error", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    assert run("-m", "orientd", "--version") == f"orientd, version {orientd.__version__}\n"
    assert "orientd" in run("-m", "orientd", "models", "verify")
    recipe = "from pathlib import Path; from orientd_training import config as c; print(c.load(Path('smoke')).name, c.__file__)"
    assert run("-c", recipe).split() == ["smoke", str(place / "orientd_training" / "config" / "__init__.py")]
