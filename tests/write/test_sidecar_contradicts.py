"""A photo that is to be written itself is left alone while a sidecar stores an orientation of it: the two would disagree."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import raw_files, signed_files, sky_library

from orientd import formats
from orientd.decode.cpu import second_reader
from orientd.errors import Refused
from orientd.files import read
from orientd.formats import sidecar
from orientd.library import sidecars
from orientd.records import Row, Status
from orientd.state.journal import Journal
from orientd.write import fix

RATED = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>"""
SHARED = Path(__file__).parents[3] / "shared" / "corpus" / "cases"


def draw(path, kind="JPEG", turn=90, **more):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(signed_files.photo(kind, "not", turn, **more))
    return path


@pytest.fixture
def scan(orientd, photos, tmp_path):
    def scan(*more, code=0):
        assert orientd("scan", photos, *more, "--report", tmp_path / "report.csv") == code
        return {Path(path).name: row for path, row in sky_library.rows(tmp_path / "report.csv").items()}

    return scan


@pytest.mark.parametrize("name", ["full", "full upper", "adobe"])
@pytest.mark.parametrize(
    ("kind", "stored", "noted"), [*((kind, 1, 6) for kind in signed_files.KINDS), ("JPEG", 6, 6), ("JPEG", 1, 1), ("JPEG", 1, 0)]
)
def test_it_is_left_alone_with_the_turn_it_needs_until_the_sidecar_stores_none(scan, orientd, photos, kind, name, stored, noted):
    shown_as = {1: 0, 6: 270}[stored]
    path = draw(photos / f"a.{kind.lower()}", kind, (90 - shown_as) % 360, stored=stored)
    beside = photos / {"full": f"{path.name}.xmp", "full upper": f"{path.name}.XMP", "adobe": "a.xmp"}[name]
    beside.write_bytes(sidecar.fresh(noted))
    before = sky_library.snapshot(photos)
    for more in ((), (), ("--fix",), ("--fix", "--sidecar", "write"), ("--fix", "--method", "auto")):
        row = scan(*more)[path.name]
        assert (row["decision"], row["turn"], row["outcome"]) == ("skip", "90", "")
        assert row["new_orientation"] == {1: "6", 6: "3"}[stored]
        wanted = (
            f"sideways or upside down, but not to be written: its sidecar {beside.name} stores an orientation ({noted}), which"
        )
        assert row["reason"].startswith(wanted)
    assert sky_library.snapshot(photos) == before
    beside.write_bytes(RATED)
    assert scan("--fix")[path.name]["outcome"] == "fixed"
    assert beside.read_bytes() == RATED
    assert orientd("undo", "--yes") == 0
    assert sky_library.snapshot(photos)[str(path)][0] == before[str(path)][0]


def test_an_upright_photo_is_kept_whatever_its_sidecar_says_and_that_is_not_even_opened(scan, photos, monkeypatch):
    draw(photos / "a.jpg", turn=0)
    (photos / "a.jpg.xmp").write_bytes(sidecar.fresh(6))
    monkeypatch.setattr(sidecars, "_present", lambda _: pytest.fail("only of photos to be written"))
    for more in ((), (), ("--fix",)):
        assert scan(*more)["a.jpg"]["decision"] == "keep"


@pytest.mark.parametrize("command", ["scan", "apply"])
def test_a_sidecar_that_came_since_is_noticed(scan, orientd, photos, tmp_path, command):
    path = draw(photos / "a.jpg")
    assert scan()["a.jpg"]["decision"] == "fix"
    (photos / "a.jpg.xmp").write_bytes(sidecar.fresh(1))
    before = sky_library.snapshot(photos)
    if command == "scan":
        assert scan()["a.jpg"]["decision"] == "skip", "though the photo is known and has not changed"
    assert orientd("apply", tmp_path / "report.csv", "--report", tmp_path / "1.csv") == (0 if command == "scan" else 3)
    if command == "apply":
        row = sky_library.rows(tmp_path / "1.csv")[str(path)]
        assert (row["outcome"], "its sidecar a.jpg.xmp stores an orientation (1)" in row["reason"]) == ("failed", True)
    assert sky_library.snapshot(photos) == before
    (photos / "a.jpg.xmp").unlink()
    assert scan("--fix")["a.jpg"]["outcome"] == "fixed"
    (photos / "a.jpg.xmp").write_bytes(sidecar.fresh(6))
    assert scan()["a.jpg"]["decision"] == "keep"


@pytest.mark.parametrize("method", ["tag", "auto"])
@pytest.mark.parametrize("noted", [1, 3, None])
def test_undo_tells_of_a_sidecar_that_came_since_and_contradicts_the_photo_then(scan, orientd, photos, capsys, noted, method):
    path = draw(photos / "a.png", "PNG")
    before = path.read_bytes()
    assert scan("--fix", "--method", method)["a.png"]["outcome"] == "fixed"
    (photos / "a.png.xmp").write_bytes(RATED if noted is None else sidecar.fresh(noted))
    beside = (photos / "a.png.xmp").read_bytes()
    capsys.readouterr()
    assert orientd("undo", "--dry-run") == 0
    assert ("would get its old bytes back, but its sidecar" in capsys.readouterr().err) == (noted == 3)
    assert orientd("undo", "--yes") == 0
    said = "".join(capsys.readouterr())
    assert ("has its old bytes back, but its sidecar a.png.xmp stores another orientation (3)" in said) == (noted == 3)
    assert (path.read_bytes(), (photos / "a.png.xmp").read_bytes()) == (before, beside)


@pytest.mark.parametrize(
    ("xmp", "reason"),
    [
        (sidecar.fresh(6).replace(b"</rdf:RDF>", b""), "its sidecar a.jpg.xmp is not understood: broken XMP"),
        (sidecar.fresh(6).replace(b'"6"', b'"left"'), "which is not one plain digit"),
        (None, "its sidecar a.jpg.xmp cannot be read: "),
    ],
)
def test_one_that_is_not_clear_may_store_one(scan, photos, xmp, reason):
    draw(photos / "a.jpg")
    (photos / "a.jpg.xmp").write_bytes(xmp) if xmp else (photos / "a.jpg.xmp").symlink_to("elsewhere")
    row = scan("--fix")["a.jpg"]
    assert (row["decision"], reason in row["reason"]) == ("skip", True), row["reason"]


@pytest.mark.parametrize(
    ("others", "ending", "reason"),
    [
        ([], "", "stores an orientation (6)"),
        ([], "JPG", "stores an orientation (6)"),
        ([], "cr2", ""),
        (["a.cr2"], "", ""),
        (["a.cr2", "a.DNG"], "", ""),
        (["a.cr2"], "jpg", "stores an orientation (6)"),
        (["a.heic"], "", "does not say whether it is for a.heic or a.jpg"),
        (["a.heic"], "heic", ""),
        (["a.mov", "b.cr2", "a.b.cr2"], "", "stores an orientation (6)"),
    ],
)
def test_whose_a_sidecar_without_the_suffix_of_the_photo_is(scan, photos, others, ending, reason):
    draw(photos / "a.jpg")
    for name in others:
        (photos / name).write_bytes(raw_files.cr2(raw_files.SENSOR))
    (photos / "a.xmp").write_bytes(sidecar.fresh(6, ending))
    row = scan("--fix")["a.jpg"]
    assert (row["decision"], row["outcome"]) == (("skip", "") if reason else ("fix", "fixed")), row["reason"]
    assert reason in row["reason"]


def test_a_manifest_of_its_content_beside_it_is_not_broken(scan, orientd, photos, tmp_path):
    path, plan = draw(photos / "a.jpg"), tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    (photos / "a.c2pa").write_bytes(signed_files.MANIFEST)
    before = sky_library.snapshot(photos)
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 3
    reasons = [
        sky_library.rows(tmp_path / "done.csv")[str(path)]["reason"],
        scan("--rescan", "--fix", "--sidecar", "write")["a.jpg"]["reason"],
    ]
    assert all("signed by a.c2pa (C2PA)" in reason for reason in reasons)
    assert sky_library.snapshot(photos) == before


def test_pixels_are_not_turned_either(scan, photos):
    draw(photos / "a.png", "PNG")
    (photos / "a.png.xmp").write_bytes(sidecar.fresh(1))
    assert scan("--fix", "--method", "auto")["a.png"]["decision"] == "skip"
    (photos / "a.png.xmp").unlink()
    assert scan("--fix", "--method", "auto")["a.png"]["method"] == "rotate"


def test_the_case_of_the_corpus(scan, photos):
    if not SHARED.exists():
        pytest.skip("the shared corpus is not there")
    photos.mkdir()
    for name in ("beside.jpg", "beside.jpg.xmp"):
        (photos / name).write_bytes((SHARED / name).read_bytes())
    with pytest.raises(Refused, match=r"its sidecar beside\.jpg\.xmp stores an orientation"):
        sidecars.check_silent(str(photos / "beside.jpg"))
    before = sky_library.snapshot(photos)
    scan("--fix")
    assert sky_library.snapshot(photos) == before


BROKEN = sidecar.fresh(6)[:-9]
XMP = st.one_of(
    st.builds(sidecar.fresh, st.integers(0, 9), st.sampled_from(["", "jpg", "cr2"])),
    st.sampled_from([RATED, b"", BROKEN, signed_files.packet()]),
)
BESIDE = st.dictionaries(st.sampled_from(["a.jpg.xmp", "a.jpg.XMP", "a.xmp", "a.XMP", "b.jpg.xmp"]), XMP, max_size=3)
OTHERS = st.sets(st.sampled_from(["a.cr2", "a.heic", "a.txt"]))


def contradicting(folder):
    """Sidecars that may be those of a.jpg and store an orientation; a broken one does not say whose it is."""
    for name in ("a.jpg.xmp", "a.jpg.XMP", "a.xmp", "a.XMP"):
        data = (folder / name).read_bytes() if (folder / name).exists() else b""
        theirs = b'Extension="cr2"' in data or (b"Extension" not in data and (folder / "a.cr2").exists())
        if b"tiff:Orientation=" in data and (data == BROKEN or "jpg" in name or not theirs):
            yield name


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_lies_beside_it_no_photo_is_changed_that_a_sidecar_would_contradict(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    path = draw(folder / "a.jpg", stored=data.draw(st.integers(1, 8)))
    for name, xmp in data.draw(BESIDE).items():
        (folder / name).write_bytes(xmp)
    for name in data.draw(OTHERS):
        (folder / name).write_bytes(b"another")
    turn = data.draw(st.sampled_from([90, 180, 270]))
    before = sky_library.snapshot(folder)
    with Journal(folder / "state") as journal:
        fixer = fix.Fixer(journal, journal.start_run("any"), formats, second_reader)
        stat = read.file_stat(os.lstat(path))
        row = Row(str(path), turn=turn, size=stat.size, mtime_ns=stat.mtime_ns, sha256=before[str(path)][0])
        outcome = fixer.fix(row)
    after = {name: state for name, state in sky_library.snapshot(folder).items() if "state" not in name}
    assert (outcome.status is Status.FIXED) == (not list(contradicting(folder))), outcome.reason
    changed = {os.path.basename(name) for name in before if before[name] != after[name]}
    assert changed == ({"a.jpg"} if outcome.status is Status.FIXED else set())
