"""A scan that a real Ray cluster of several nodes judges: the plan is that of one machine, whatever is lost on the way."""

import os
import signal
from dataclasses import replace
from functools import partial

import pytest
from support import deadly, ray_cluster, sky_library

from orientd.cli.session import Session
from orientd.pipeline.cluster import scan as cluster_scan
from orientd.pipeline.cluster import spread
from orientd.pipeline.cluster.crew import ClusterCrew

pytest.importorskip("ray", reason="no Ray, so nothing was judged by a cluster")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with ray_cluster.started(deadly.stand_in(tmp_path_factory.mktemp("cluster") / "deadly")) as found:
        yield found


@pytest.fixture
def library(photos):
    sky_library.library(photos, 150)
    (photos / "1" / "broken.jpg").write_bytes(b"no photo")
    os.link(photos / "0" / "000.jpg", photos / "2" / "again.jpg")
    return photos


@pytest.fixture
def scan(cluster, orientd, tmp_path):
    """Scans by the cluster, with two nodes at the start; gives the exit code and the plan."""
    cluster.fill_up()

    def scanned(*arguments, address="auto", state="state"):
        out = tmp_path / "ray.csv"
        where = ("--cluster", address, "--state-dir", tmp_path / state)
        code = orientd("scan", *arguments, *where, "--report", out, "--overwrite")
        return code, out.read_bytes() if out.exists() else b""

    return scanned


@pytest.fixture
def plain(orientd, tmp_path):
    """The plan of this machine alone."""

    def scanned(*arguments):
        out = tmp_path / "plain.csv"
        assert orientd("scan", *arguments, "--report", out, "--state-dir", tmp_path / "alone") in (0, 3)
        return out.read_bytes()

    return scanned


@pytest.fixture
def at_the_first_row(monkeypatch):
    """Has something done then, while most photos are still to be judged."""

    def have(done):
        add, did = Session.add, []

        def adding(session, row):
            if not did:
                did.append(True)
                done()
            add(session, row)

        monkeypatch.setattr(Session, "add", adding)

    return have


@pytest.fixture
def before_the_first_photo(monkeypatch):
    """Has something done when the workers are ready and none has work yet: later a quick one may have none left."""

    def have(done):
        begin, did = ClusterCrew.begin, []

        def beginning(crew, unit, candidates, *, spare=False):
            if not did:
                did.append(True)
                done()
            return begin(crew, unit, candidates, spare=spare)

        monkeypatch.setattr(ClusterCrew, "begin", beginning)

    return have


def test_the_plan_is_that_of_one_machine_and_of_shards(scan, plain, library, orientd, tmp_path, capsys):
    code, plan = scan(library)
    assert code == 3
    assert "Judged by 2 workers on 2 machines of the cluster" in capsys.readouterr().out
    parts = [tmp_path / f"part{number}.csv" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        state = tmp_path / f"state{number}"
        assert orientd("scan", library, "--shard", f"{number}/3", "--report", part, "--state-dir", state) in (0, 3)
    assert orientd("plan", "merge", *parts, "--out", tmp_path / "merged.csv") == 3
    assert plan == plain(library) == (tmp_path / "merged.csv").read_bytes()
    assert plan.count(b"broken.jpg") == 1


def test_from_elsewhere_and_what_is_known_is_not_judged_again(scan, plain, library, cluster, monkeypatch):
    assert scan(library, address=cluster.address) == (3, plain(library))
    begin, begun = ClusterCrew.begin, []

    def beginning(crew, unit, candidates, *, spare=False):
        begun.extend(each.path for each in candidates)
        return begin(crew, unit, candidates, spare=spare)

    monkeypatch.setattr(ClusterCrew, "begin", beginning)
    sky_library.draw(library / "1" / "new.jpg", 90, seed=1000)
    assert scan(library) == (3, plain(library))
    assert begun == [str(library / name) for name in ("1/broken.jpg", "1/new.jpg", "2/again.jpg")], "as by one machine"


def test_what_hinders_a_node_is_told(scan, library, monkeypatch, capsys):
    for_nodes = cluster_scan._for_nodes
    monkeypatch.setattr(cluster_scan, "_for_nodes", lambda config: replace(for_nodes(config), model="/gone.onnx"))
    assert scan(library) == (1, b"")
    assert "of the cluster: the model /gone.onnx cannot be read" in capsys.readouterr().err


def test_a_node_that_is_slow(scan, plain, library, cluster, at_the_first_row, monkeypatch):
    monkeypatch.setattr(spread, "LATE", 0.5)
    at_the_first_row(lambda: os.kill(cluster.workers()[0], signal.SIGSTOP))
    assert scan(library) == (3, plain(library))


def test_a_photo_that_ends_whoever_judges_it(scan, plain, library, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spread, "LOSSES", 2)
    expected = plain(library, "--no-isolate").splitlines()
    deadly.draw(library / "1" / "deadly.jpg", "kill")
    code, plan = scan(library, "--no-isolate")
    assert code == 3
    rows = plan.splitlines()
    assert [row for row in rows if b"deadly.jpg" not in row] == expected
    assert len(rows) == len(expected) + 1
    assert sky_library.rows(tmp_path / "ray.csv")[str(library / "1" / "deadly.jpg")]["reason_code"] == "crashes"
    said = capsys.readouterr()
    assert "another takes its place" in said.err
    assert "3 workers were lost" in said.out


def test_interrupted_it_leaves_what_was_done_until_then(scan, plain, library, at_the_first_row, capsys):
    expected = plain(library)
    for number in (signal.SIGINT, signal.SIGTERM):
        at_the_first_row(partial(os.kill, os.getpid(), number))
        code, _ = scan(library)
        assert code == 130
        assert "Stopped before the end" in capsys.readouterr().out
    assert scan(library) == (3, expected)


def test_photos_are_put_right_by_this_machine_alone(scan, library, orientd, tmp_path):
    before = sky_library.snapshot(library)
    assert scan(library, "--fix")[0] == 3
    assert not any(sky_library.shown_turned(path) for path in library.rglob("0*.jpg") if os.lstat(path).st_nlink == 1)
    assert orientd("undo", 1, "--state-dir", tmp_path / "state") == 0
    assert {path: found[0] for path, found in sky_library.snapshot(library).items()} == {
        path: found[0] for path, found in before.items()
    }


def test_a_node_that_is_lost(scan, plain, library, cluster, before_the_first_photo, capsys):
    before_the_first_photo(cluster.lose_node)
    assert scan(library) == (3, plain(library))
    assert "1 worker was lost" in capsys.readouterr().out
