import os

import pytest

from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.records import Row, Verdict
from orientd.report.plan import read_plan
from orientd.watch.proposals import Proposals


def row(path, sha="a", **more):
    return Row(str(path), turn=90, decision=Verdict.FIX, size=3, mtime_ns=5, sha256=sha * 64, **more)


@pytest.fixture
def plan(tmp_path):
    return tmp_path / "plan.csv"


@pytest.fixture
def proposals(plan):
    made = Proposals(str(plan))
    made.refresh()
    return made


def test_it_is_a_plan_after_every_flush(plan, proposals):
    awkward = [os.fsdecode(b"/p/\xe9.jpg"), '/p/a,b\r\n"c".jpg', "/p/plain.jpg"]
    for path in awkward:
        assert proposals.add(row(path))
        proposals.flush()
        assert read_plan(str(plan))[-1].path == path
        assert b"\n\n" not in plan.read_bytes()
    assert [each.path for each in read_plan(str(plan))] == awkward
    assert plan.stat().st_mode & 0o077 == 0


def test_nothing_is_there_before_the_first_proposal(plan, proposals):
    proposals.flush()
    assert not plan.exists()


def test_a_photo_is_proposed_once_as_long_as_it_is_the_same(plan, proposals):
    assert proposals.add(row("/a"))
    assert not proposals.add(row("/a"))
    proposals.refresh()
    assert proposals.holds(row("/a")), "what is kept back counts, too"
    proposals.flush()
    again = Proposals(str(plan))
    again.refresh()
    assert not again.add(row("/a"))
    assert again.add(row("/a", sha="b"))
    again.flush()
    assert len(read_plan(str(plan))) == 2


def test_whatever_its_owner_made_of_a_proposal_it_stands(plan, proposals):
    proposals.add(row("/a"))
    proposals.flush()
    plan.write_text(plan.read_text().replace(",fix,", ",keep,").rstrip("\n"))
    proposals.refresh()
    assert not proposals.add(row("/a"))
    assert proposals.add(row("/b"))
    proposals.flush()
    assert [each.path for each in read_plan(str(plan))] == ["/b"]


def test_one_that_was_moved_away_is_begun_anew(plan, proposals):
    proposals.add(row("/a"))
    proposals.flush()
    plan.rename(plan.with_name("now.csv"))
    proposals.refresh()
    assert proposals.add(row("/a"))
    proposals.flush()
    assert len(read_plan(str(plan))) == len(read_plan(str(plan.with_name("now.csv")))) == 1


def test_what_is_dropped_is_taken_out_and_every_other_line_stays(plan, proposals):
    awkward = [os.fsdecode(b"/p/\xe9.jpg"), '/p/a,b\r\n"c".jpg', "/p/plain.jpg"]
    for path in awkward:
        proposals.add(row(path))
    proposals.flush()
    plan.chmod(0o640)
    whole, middle = plan.read_bytes(), plan.read_bytes().replace(b"/p/plain.jpg", b"/q")
    plan.write_bytes(middle + whole.splitlines(keepends=True)[-1].replace(b",fix,", b",keep,"))
    proposals.refresh()
    proposals.drop(row("/p/never.jpg"))
    proposals.drop(row("/p/plain.jpg", sha="b"))
    proposals.flush()
    assert plan.read_bytes().count(b"/p/plain.jpg") == 1
    proposals.drop(row("/p/plain.jpg"))
    proposals.add(row("/new"))
    proposals.flush()
    assert plan.read_bytes().startswith(middle)
    assert [each.path for each in read_plan(str(plan))] == [*awkward[:2], "/q", "/new"]
    assert b"plain" not in plan.read_bytes()
    assert plan.stat().st_mode & 0o777 == 0o640
    proposals.refresh()
    assert not proposals.holds(row("/p/plain.jpg"))
    assert [each.name for each in plan.parent.iterdir()] == [plan.name]


def test_what_is_dropped_before_it_is_written_is_not_written(plan, proposals):
    proposals.add(row("/a"))
    proposals.drop(row("/a"))
    proposals.flush()
    assert not plan.exists()


def test_a_plan_that_is_a_link_stays_one(plan, proposals, tmp_path):
    plan.symlink_to(tmp_path / "real.csv")
    for path in ("/a", "/b"):
        proposals.add(row(path))
    proposals.flush()
    proposals.drop(row("/a"))
    proposals.flush()
    assert plan.is_symlink()
    assert [each.path for each in read_plan(str(plan))] == ["/b"]


def test_a_plan_that_is_moved_away_has_nothing_to_be_dropped(plan, proposals):
    proposals.add(row("/a"))
    proposals.flush()
    proposals.drop(row("/a"))
    plan.unlink()
    proposals.flush()
    assert not plan.exists()


@pytest.mark.parametrize("text", ["path;turn\n", "something else"])
def test_what_is_no_plan_of_ours_is_left_alone(plan, proposals, text):
    plan.write_text(text)
    with pytest.raises(StateError, match="move it away"):
        proposals.refresh()
    assert plan.read_text() == text


def test_an_empty_file_is_a_plan_to_be_begun(plan, proposals):
    plan.touch()
    proposals.refresh()
    proposals.add(row("/a"))
    proposals.flush()
    assert len(read_plan(str(plan))) == 1


def test_a_full_disk_leaves_a_whole_plan_and_nothing_is_forgotten(plan, proposals, monkeypatch):
    proposals.add(row("/a"))
    proposals.flush()
    whole, write = plan.read_bytes(), os.write
    monkeypatch.setattr("orientd.watch.proposals.os.write", lambda file, data: write(file, data[:10]))
    proposals.add(row("/b"))
    with pytest.raises(StateError, match="no space"):
        proposals.flush()
    assert plan.read_bytes() == whole
    monkeypatch.undo()
    proposals.flush()
    assert [each.path for each in read_plan(str(plan))] == ["/a", "/b"]


def test_a_plan_that_cannot_be_read_or_written_is_told(tmp_path):
    made = Proposals(str(tmp_path))
    with pytest.raises(StateError, match="cannot be read"):
        made.refresh()
    made.add(row("/a"))
    with pytest.raises(StateError, match="cannot be written"):
        made.flush()


def test_an_unsure_row_gives_way_to_a_fix_but_a_persons_word_stands(plan, proposals):
    def unsure(path):
        return row(path)._replace(decision=Verdict.UNSURE, reason="not confident enough", reason_code=Reason.LOW_CONFIDENCE)

    assert proposals.add(unsure("/a"))
    assert proposals.add(row("/a")), "before it was written"
    proposals.flush()
    assert [each.path for each in read_plan(str(plan))] == ["/a"]
    assert not proposals.add(unsure("/a")), "a fix stays one"
    assert proposals.add(unsure("/b"))
    proposals.flush()
    assert not proposals.add(unsure("/b"))
    assert proposals.add(row("/b"))
    proposals.flush()
    assert [each.path for each in read_plan(str(plan))] == ["/a", "/b"]
    assert len(plan.read_text().splitlines()) == 3
    plan.write_text(plan.read_text().replace(",fix,", ",unsure,"))
    proposals.refresh()
    assert not proposals.add(row("/a")), "a person set that"
