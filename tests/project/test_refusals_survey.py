"""The survey of refusals: its judges fail on a changed tag, a wrong turn, a lost byte; its changes turn; its sums are right."""

import io
import shutil
import struct
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import decodable_photos, heif_files, jpeg_files, png_webp_tiff_files, referee

from benchmarks.refusals.changes import changes, embedded
from benchmarks.refusals.files import Listed, blob_of, fitting, read_list
from benchmarks.refusals.referee import changed_tags, harm, sidecar_faults
from benchmarks.refusals.run import _TIME, Died, Survey, _left_behind, weigh
from benchmarks.refusals.table import faults, is_harmless, reason_of, table
from benchmarks.refusals.tiff import block_changes
from benchmarks.refusals.views import Viewer, by_pillow, is_turned

JPEG = jpeg_files.build(jpeg_files.Recipe(extra=(0x010E,)))
BARE = jpeg_files.with_segments()
NO_TAG = jpeg_files.build(jpeg_files.Recipe(orientations=()))
HAS_VIPS = find_spec("pyvips") is not None
EXIFTOOL = pytest.mark.skipif(not referee.HAS_EXIFTOOL, reason="exiftool is not installed")


@pytest.fixture(autouse=True)
def limit_of_pillow(monkeypatch):
    """The survey takes it away in its own process; the tests that follow must have it again."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.fixture
def viewer():
    viewer = Viewer()
    yield viewer
    viewer.close()


def _stored(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def _png(turn=None):
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    Image.fromarray(decodable_photos.scene(48, 32)).save(out := io.BytesIO(), "PNG", exif=exif)
    return out.getvalue()


class TestViews:
    def test_only_the_turn_that_was_asked_for_counts(self):
        before = decodable_photos.scene(64, 48)
        for turn in (90, 180):
            assert is_turned([before], [np.rot90(before, -turn // 90)], turn)
            for other in {0, 90, 180, 270} - {turn}:
                assert not is_turned([before], [np.rot90(before, -other // 90)], turn)
            assert not is_turned([before], [np.rot90(before, -turn // 90)[:, ::-1]], turn)
            assert not is_turned([before], [255 - np.rot90(before, -turn // 90)], turn)

    def test_a_square_is_no_excuse_and_small_noise_is(self):
        before = decodable_photos.scene(64, 64)
        assert not is_turned([before], [before], 90)
        wanted = np.rot90(before, -1)
        noise = np.random.default_rng(2).integers(0, 3, wanted.shape, np.uint8)
        assert is_turned([before], [np.minimum(wanted, 250) + noise], 90)

    def test_every_frame_must_turn(self):
        before = decodable_photos.scene(64, 48)
        turned = np.rot90(before, -1)
        assert is_turned([before, before], [turned, turned], 90)
        assert not is_turned([before, before], [turned, before], 90)
        assert not is_turned([before, before], [turned], 90)

    @pytest.mark.parametrize("name", ["a.jpg", "a.png"])
    def test_decoders_obey_the_tag_and_tell_a_wrong_one(self, tmp_path, viewer, name):
        make = (
            _png
            if name == "a.png"
            else lambda value: jpeg_files.build(jpeg_files.Recipe(orientations=((jpeg_files.SHORT, value),)))
        )
        before = _stored(tmp_path, name, make(6))
        right, wrong = _stored(tmp_path, "right", make(3)), _stored(tmp_path, "wrong", make(8))
        broken = _stored(tmp_path, "broken", make(3)[:100])
        for after, said in ((right, "seen"), (wrong, "wrong"), (broken, "lost")):
            verdicts = viewer.compared(before, {90: after})[90]
            assert verdicts["Pillow"] == said
            if HAS_VIPS:
                assert verdicts["libvips"] in ((said, "wrong") if after == broken else (said,)), "it may fill up what is cut off"
        assert viewer.compared(broken, {90: right})[90]["Pillow"] == "blind"

    def test_the_answers_for_several_turns_are_told_apart(self, tmp_path, viewer):
        before = _stored(tmp_path, "a.png", _png(1))
        said = viewer.compared(before, {90: _stored(tmp_path, "b.png", _png(6)), 180: _stored(tmp_path, "c.png", _png(6))})
        assert (said[90]["Pillow"], said[180]["Pillow"]) == ("seen", "wrong")

    def test_a_file_that_is_another_one_now_is_looked_at_anew(self, tmp_path, viewer):
        before, after = _stored(tmp_path, "a.png", _png(1)), tmp_path / "b.png"
        for value, verdict in ((1, "wrong"), (6, "seen"), (8, "wrong")):
            said = viewer.compared(before, {90: _stored(tmp_path, after.name, _png(value))})[90]
            assert said["Pillow"] == verdict
            assert not HAS_VIPS or said["libvips"] == verdict

    def test_who_cannot_read_a_file_says_so(self, tmp_path, viewer):
        assert viewer.readable(_stored(tmp_path, "a.png", _png(1)))["Pillow"] == ""
        assert viewer.readable(_stored(tmp_path, "no.png", b"no photo"))["Pillow"]

    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
    @pytest.mark.parametrize("value", range(1, 9))
    def test_all_eight_orientations_are_shown_as_by_others(self, tmp_path, format_, value):
        exif, path = Image.Exif(), tmp_path / "a"
        exif[0x0112] = value
        Image.fromarray(decodable_photos.scene(64, 48)).save(path, format_, exif=exif)
        with Image.open(path) as image:
            assert np.array_equal(by_pillow(path).frames[0], ImageOps.exif_transpose(image))


@EXIFTOOL
class TestReferee:
    def test_a_changed_tag_is_told_and_an_orientation_is_not(self, tmp_path):
        before = _stored(tmp_path, "a.jpg", JPEG)
        turned = _stored(
            tmp_path, "b.jpg", jpeg_files.build(jpeg_files.Recipe(extra=(0x010E,), orientations=((jpeg_files.SHORT, 6),)))
        )
        other = _stored(tmp_path, "c.jpg", jpeg_files.build(jpeg_files.Recipe(extra=(0x0131,))))
        found = changed_tags([(before, turned), (before, other)])
        assert found[str(turned)] == []
        assert any("EXIF:IFD0" in each for each in found[str(other)])

    def test_a_sidecar_must_tell_the_turned_orientation(self, tmp_path):
        photo = _stored(tmp_path, "a.jpg", jpeg_files.build(jpeg_files.Recipe(orientations=((jpeg_files.SHORT, 6),))))
        for value, number in ((3, 0), (6, 1), (8, 1)):
            sidecar = _stored(tmp_path, "a.jpg.xmp", jpeg_files.packet("attribute", value))
            assert len(sidecar_faults(photo, sidecar, 90)) == number


@EXIFTOOL
class TestChanges:
    def judged(self, viewer, tmp_path, name, data):
        """The names of the changes that Pillow sees and that change no other tag."""
        before, good = _stored(tmp_path, name, data), set()
        for what, changed in changes(before, 90, tmp_path / f"tried-{name}"):
            after = _stored(tmp_path, f"after-{name}", changed)
            said = viewer.compared(before, {90: after})[90]
            if (
                said["Pillow"] == "seen"
                and said.get("libvips") in ("seen", None if HAS_VIPS else "blind")
                and not harm(before, after)
            ):
                good.add(what)
        return good

    def test_of_jpegs(self, viewer, tmp_path):
        assert "first IFD, in place" in self.judged(viewer, tmp_path, "a.jpg", JPEG)
        assert "first IFD, grown" in self.judged(viewer, tmp_path, "b.jpg", NO_TAG)
        assert "fresh EXIF" in self.judged(viewer, tmp_path, "c.jpg", BARE)

    def test_of_other_stills(self, viewer, tmp_path):
        recipe = jpeg_files.Recipe(orientations=())
        assert "fresh eXIf" in self.judged(viewer, tmp_path, "a.png", _png())
        assert "first IFD, grown" in self.judged(
            viewer, tmp_path, "b.png", png_webp_tiff_files.png(png_webp_tiff_files.Png(exif=recipe))
        )
        assert "first IFD, in place" in self.judged(
            viewer, tmp_path, "c.webp", png_webp_tiff_files.webp(png_webp_tiff_files.Webp(exif=jpeg_files.Recipe()))
        )
        Image.fromarray(decodable_photos.scene(48, 32)).save(tmp_path / "d.tif", tiffinfo={0x0112: 1})
        assert "first IFD, in place" in self.judged(viewer, tmp_path, "e.tif", (tmp_path / "d.tif").read_bytes())
        big = Image.fromarray(decodable_photos.scene(48, 32))
        big.save(tmp_path / "f.tif", big_tiff=True)
        assert "first IFD, grown" in self.judged(viewer, tmp_path, "g.tif", (tmp_path / "f.tif").read_bytes())

    @pytest.mark.parametrize("turns", [(), ("irot1",), ("imir0",), ("irot1", "imir1")])
    def test_of_heifs(self, viewer, tmp_path, turns):
        assert self.judged(viewer, tmp_path, "a.avif", heif_files.build(heif_files.Recipe(brand="avif", turns=turns)))

    def test_a_segment_that_has_no_room_stays(self):
        assert embedded(JPEG, 20, 30, bytes(70_000)) == JPEG


class TestFiles:
    def test_only_files_whose_content_is_the_one_listed_count(self, tmp_path):
        good = Listed("one/two", "x/a.jpg", blob_of(JPEG))
        other, missing = good._replace(path="b.jpg"), good._replace(path="c.jpg")
        for each, data in ((good, JPEG), (other, JPEG[:-1])):
            each.place(tmp_path).parent.mkdir(parents=True, exist_ok=True)
            each.place(tmp_path).write_bytes(data)
        assert list(fitting([good, other, missing], tmp_path)) == [good]
        assert blob_of(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object

    def test_the_list_names_each_content_once(self):
        files = read_list()
        assert len(files) >= 3000
        assert len({each.blob for each in files}) == len(files)


class TestTable:
    def found(self, **more):
        turn = {
            "outcome": "fixed",
            "reason": "",
            "changed": "x.jpg",
            "seen": {"Pillow": "seen"},
            "tags": [],
            "not undone": [],
            "verify": [],
        }
        return {"path": "a.jpg", "reason": "", "turns": {"90": {**turn, **more}, "180": turn}}

    def test_each_fault_counts(self):
        assert faults(self.found()) == []
        for more in (
            {"seen": {"Pillow": "seen", "libvips": "wrong"}},
            {"seen": {"Pillow": "lost"}},
            {"tags": ["EXIF:IFD0:Make: x became y"]},
            {"not undone": ["its bytes"]},
            {"verify": ["a.jpg is not as it was written"]},
            {"outcome": "failed"},
            {"changed": ""},
        ):
            assert len(faults(self.found(**more))) == 1, more

    def test_what_is_refused_without_need_is_told_from_the_design(self):
        harmless, fine = {"by": "in place"}, {"Pillow": "", "libvips": ""}
        refused = self.found(changed="", outcome="unchanged", reason="broken EXIF: tag 0x0012 is odd")
        cases = [
            ({**refused, "harmless": harmless, "readable": fine}, True),
            ({**refused, "harmless": {"against": {}}, "readable": fine}, False),
            ({**refused, "harmless": harmless, "readable": {**fine, "Pillow": "cut short"}}, False),
        ]
        cases.append((self.found(changed="", outcome="unchanged", reason="signed with content credentials (C2PA)"), False))
        assert [is_harmless(found) for found, _ in cases] == [wanted for _, wanted in cases]
        assert "| broken EXIF | 3 | 2 | 1 |" in table([found for found, _ in cases])


class TestSurvey:
    def test_a_file_that_is_not_put_back_is_told(self, tmp_path):
        import os

        source, copy = _stored(tmp_path, "a.jpg", JPEG), tmp_path / "work" / "a.jpg"
        copy.parent.mkdir()
        shutil.copyfile(source, copy)
        os.utime(copy, ns=(_TIME, _TIME))
        assert _left_behind(source, copy, 0) == []
        assert _left_behind(source, copy, 1) == ["its time"]
        (copy.parent / "a.jpg.xmp").write_bytes(b"")
        assert _left_behind(source, copy, 0) == ["a new file a.jpg.xmp"]
        copy.write_bytes(JPEG[:-1])
        assert "its bytes" in _left_behind(source, copy, 0)

    def test_only_the_file_that_ends_the_process_is_lost(self, tmp_path):
        class Mortal(Survey):
            def _group(self, sources, files):
                if any(each.path == "7" for each in files):
                    raise Died("scan: SIGSEGV: ")
                return [each._asdict() for each in files]

        found = Mortal(tmp_path, tmp_path, None)([Listed("a/b", str(number), "") for number in range(20)], tmp_path)
        assert [each["path"] for each in found] == [str(number) for number in range(20)]
        assert [each["path"] for each in found if "died" in each] == ["7"]

    def test_a_death_that_no_file_causes_alone_is_told_once(self, tmp_path):
        class Mortal(Survey):
            def _group(self, sources, files):
                if {"3", "4"} <= {each.path for each in files}:
                    raise Died("apply: SIGSEGV: ")
                return [{**each._asdict(), "turns": {}} for each in files]

        found = Mortal(tmp_path, tmp_path, None)([Listed("a/b", str(number), "") for number in range(20)], tmp_path)
        assert len(found) == 20
        assert [faults(each) for each in found if faults(each)] == [["the process died: apply: SIGSEGV: "]]

    @EXIFTOOL
    def test_the_whole_of_it(self, viewer, tmp_path):
        """Two photos that can be turned, one that cannot; the comparator's own decoders see what was written."""
        import sys

        command = _stored(tmp_path, "orientd", f'#!/bin/sh\nexec {sys.executable} -m orientd "$@"\n'.encode())
        command.chmod(0o755)
        whole = {"a.jpg": JPEG, "b.png": _png(6), "c.jpg": JPEG[: len(JPEG) // 2]}
        files = [Listed("one/two", name, "") for name in whole]
        for each in files:
            each.place(tmp_path).parent.mkdir(exist_ok=True)
            each.place(tmp_path).write_bytes(whole[each.path])
        found = Survey(command, tmp_path / "work", viewer)(files, tmp_path)
        for each, listed in zip(found, files, strict=True):
            weigh(each, listed.place(tmp_path), tmp_path, viewer)
        assert [bool(reason_of(each)) for each in found] == [False, False, True]
        assert [faults(each) for each in found] == [[], [], []]
        assert all(told["seen"]["Pillow"] == "seen" for each in found[:2] for told in each["turns"].values())
        assert not is_harmless(found[2])
        assert found[2]["readable"]["Pillow"]


def test_the_order_of_bytes_does_not_matter():
    for order, letter in (("little", "<"), ("big", ">")):
        block = jpeg_files.tiff(jpeg_files.Recipe(order=order))
        changed = dict(block_changes(block, 90))["first IFD, in place"]
        places = [at for at in range(len(block)) if changed[at] != block[at]]
        assert len(places) == 1
        assert struct.pack(letter + "H", 6) in changed[places[0] - 1 : places[0] + 2]
