"""Who has what in hand, who takes the place of whom, and who is let in; by a port that no cluster is behind."""

import os

import pytest
from support import sky_library

from orientd import __version__
from orientd.cli.options import JUDGING, WALKING, WRITING
from orientd.config import Config
from orientd.errors import ConfigError, LibraryUnavailable, ModelError, OrientdError
from orientd.pipeline import run as pipeline
from orientd.pipeline.cluster import same_files, scan
from orientd.pipeline.cluster.actors import brief
from orientd.pipeline.cluster.crew import ClusterCrew, Lost, Node, Place, places
from orientd.pipeline.cluster.judging import Hello, Judging
from orientd.pipeline.cluster.same_files import Sight
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat, Row

A, B = Node("1", "alpha", 1, 0), Node("2", "beta", 1, 0)
PHOTOS = [Candidate(f"/photos/{i}", FileStat(1, i, i, i)) for i in range(200)]


class FakePort:
    """Answers at once, but for questions to workers that are `mute`. `fails` tells what to raise for a method of a worker."""

    def __init__(self, *nodes, fails=lambda worker, method: None, judged_by="judge"):
        self.there, self.fails, self.judged_by = list(nodes), fails, judged_by
        self.started, self.asked, self.ended, self.mute, self.closed = [], {}, [], set(), False

    def nodes(self):
        return self.there

    def start(self, place):
        self.started.append(place)
        return len(self.started)

    def ask(self, worker, method, *given):
        question = f"{len(self.asked)}"
        self.asked[question] = (worker, method, given)
        return question

    def answered(self, questions, seconds):
        return [each for each in questions if self.asked[each][0] not in self.mute]

    def answer(self, question):
        worker, method, given = self.asked[question]
        if error := self.fails(worker, method):
            raise error
        if method == "hello":
            return Hello(self.judged_by, worker, [same_files.see(path) for path in given[0]])
        return [Row(each.path) for each in given[0]], [f"a note of {worker}"] * 2

    def end(self, worker):
        self.ended.append(worker)

    def close(self):
        self.closed = True


def crew_of(port, said=None, admit=lambda node, hello: None):
    seats = list(places(port.nodes(), 0, on_gpus=False))
    return ClusterCrew(port, seats, [], admit, (said if said is not None else []).append, 32)


def test_there_is_a_worker_for_each_processor_or_gpu():
    large, cards = Node("3", "gamma", 8, 0), Node("4", "delta", 12, 2)
    assert list(places([large], 0, on_gpus=True)) == [Place(large, 1, 8)] * 8
    assert list(places([large], 3, on_gpus=False)) == [Place(large, 1, 3)] * 3
    assert list(places([cards, A], 0, on_gpus=True)) == [Place(cards, 6, 2, on_gpu=True)] * 2 + [Place(A, 1, 1)]
    assert list(places([cards], 0, on_gpus=False)) == [Place(cards, 1, 12)] * 12
    assert list(places([Node("5", "head", 0, 0)], 0, on_gpus=False)) == []


def test_each_has_two_units_in_hand_at_most_and_none_before_it_is_ready():
    port, said = FakePort(A, B), []
    crew = crew_of(port, said)
    assert not crew.begin(0, PHOTOS[:1])
    assert (crew.ended(0), crew.starting, crew.ready, crew.nodes) == ([], 0, 2, 2)
    assert [crew.begin(unit, [PHOTOS[unit]]) for unit in range(5)] == [True, True, True, True, False]
    assert [port.asked[question][0] for question in list(port.asked)[2:]] == [1, 2, 1, 2]
    assert [end.unit for end in crew.ended(0)] == [0, 1]
    assert crew.has_room
    assert crew.begin(5, PHOTOS[5:6], spare=True) is False, "none has nothing to do"
    assert said == ["alpha: a note of 1", "beta: a note of 2"]
    crew.close()
    assert port.ended == [1, 2]


def test_of_a_worker_that_is_lost_all_comes_back_and_the_first_is_to_blame():
    port, said = FakePort(A, B), []
    crew = crew_of(port, said)
    crew.ended(0)
    for unit in range(4):
        crew.begin(unit, [PHOTOS[unit]])
    port.fails = lambda worker, method: Lost("killed") if worker == 1 else None
    ended = crew.ended(0)
    assert [(end.unit, end.rows is None, end.blamed) for end in ended] == [(0, True, True), (2, True, False), (1, False, False)]
    assert said[0] == "a worker on alpha was lost: another takes its place, and what it had in hand is judged again (killed)"
    assert (port.started[2].node, crew.starting, crew.lost) == (A, 1, {"alpha": 1})


def test_a_node_that_is_lost_is_not_started_again():
    port, said = FakePort(A, B), []
    crew = crew_of(port, said)
    crew.ended(0)
    crew.begin(0, PHOTOS[:1])
    port.there, port.fails = [B], lambda worker, method: Lost("no answer") if worker == 1 else None
    assert crew.ended(0)[0].blamed
    assert (len(port.started), crew.ready) == (2, 1)
    assert said == ["the node alpha was lost: what it had in hand is judged by others (no answer)"]


def test_where_one_after_the_other_ends_it_is_given_up_and_at_last_the_run():
    port = FakePort(A, fails=lambda worker, method: Lost("out of memory"))
    crew = crew_of(port, said := [])
    for _ in range(4):
        assert crew.ended(0) == []
    with pytest.raises(OrientdError, match="no node of the cluster is left"):
        crew.ended(0)
    assert (len(port.started), len(said)) == (5, 5)
    assert "it is left out" in said[-1]


def test_who_cannot_judge_stops_the_run_by_its_name_and_with_its_code():
    port = FakePort(A, fails=lambda worker, method: ConfigError("orientd is 0.1 there and 0.2 here"))
    with pytest.raises(OrientdError, match=r"^alpha of the cluster: orientd is 0.1 there") as told:
        crew_of(port).ended(0)
    assert told.value.exit_code == ConfigError.exit_code


def test_a_worker_that_fails_once_all_is_under_way_is_replaced():
    port, said = FakePort(A), []
    crew = crew_of(port, said)
    crew.ended(0)
    crew.begin(0, PHOTOS[:1])
    port.fails = lambda worker, method: OrientdError("the card is gone") if worker == 1 else None
    assert crew.ended(0)[0].blamed
    assert (len(port.started), crew.starting) == (2, 1)
    assert said[0].startswith("a worker on alpha was lost: another takes its place")
    assert said[0].endswith("(alpha of the cluster: the card is gone)")


def test_a_node_that_cannot_judge_any_more_is_left_out_and_the_others_go_on():
    port, said = FakePort(A, B), []

    def admit(node, hello):
        if hello.process > 2:
            raise ConfigError("alpha of the cluster sees /photos/1 not at all")

    crew = crew_of(port, said, admit)
    crew.ended(0)
    for unit in range(2):
        crew.begin(unit, PHOTOS[:1])
    port.fails = lambda worker, method: Lost("killed") if worker == 1 else None
    crew.ended(0)
    assert crew.ended(0) == []
    assert (crew.starting, crew.ready, len(port.started), port.ended) == (0, 1, 3, [1, 3])
    assert said[-1].startswith("a worker on alpha was lost: it cannot judge there any more, so it is left out (alpha of")


@pytest.fixture
def cluster(photos):
    """A scan of drawn photos by a cluster that is played; gives a function for it, which returns the rows."""
    sky_library.library(photos, 40)
    found = []

    def scanned(port, said=None, **more):
        cluster = scan.Cluster("auto", Config(provider=more.pop("provider", "cpu")), lambda address, config: port)
        found[:] = [cluster]
        act = more.pop("act", lambda row: row)
        stages = pipeline.Stages(lambda chunk: [None] * len(chunk), None, act, lambda rows: None)
        given = {"roots": [str(photos)], "judged_by": "judge", "writes": False, "stop": lambda: False}
        return list(cluster.run(PHOTOS, stages, notify=(said if said is not None else []).append, **given | more))

    scanned.found = found
    return scanned


def test_nodes_that_judge_alike_and_see_the_same_are_let_in(cluster):
    port = FakePort(A, B)
    assert [row.path for row in cluster(port, writes=True)] == [each.path for each in PHOTOS]
    assert port.closed
    assert port.ended == [1, 2]
    assert cluster.found[0].summary() == ["Judged by 2 workers on 2 machines of the cluster auto."]


def test_photos_that_all_end_their_worker_are_left_out_also_where_there_is_one_worker(cluster):
    """They lie together, as those of one camera do; the node is not to blame."""
    deadly = [each.path for each in PHOTOS[40:72]]

    class Deadly(FakePort):
        def answer(self, question):
            _, method, given = self.asked[question]
            if method == "judge" and any(each.path in deadly for each in given[0]):
                raise Lost("killed")
            return super().answer(question)

    rows = cluster(Deadly(A))
    assert [row.path for row in rows] == [each.path for each in PHOTOS]
    assert [row.path for row in rows if row.reason_code is Reason.CRASHES] == deadly


@pytest.mark.parametrize("writes", [True, False])
def test_who_takes_the_place_of_another_sees_what_was_fixed_meanwhile(cluster, photos, writes):
    port, done = FakePort(A), []

    def fails(worker, method):
        if method == "judge" and worker == 1 and not done:
            done.append(True)
            for path in photos.rglob("*.jpg"):
                path.with_suffix(".new").write_bytes(path.read_bytes() + b"turned")
                path.with_suffix(".new").replace(path)
            return Lost("killed")
        return None

    port.fails = fails
    assert len(cluster(port, writes=writes)) == len(PHOTOS)
    assert done


def test_nothing_is_written_where_the_nodes_see_copies(cluster, monkeypatch):
    see, acted = same_files.see, []
    monkeypatch.setattr(same_files, "see", lambda path: see(path)._replace(inode=1))
    with pytest.raises(ConfigError, match="alpha of the cluster sees another file at"):
        cluster(port := SeesOtherwise(A, see=see), writes=True, act=acted.append)
    assert (acted, port.closed, list(port.asked.values())[1:]) == ([], True, [])
    assert len(cluster(SeesOtherwise(A, see=see))) == len(PHOTOS), "to judge, copies will do"


class SeesOtherwise(FakePort):
    """A node that looks at files by a function of its own."""

    def __init__(self, *nodes, see):
        super().__init__(*nodes)
        self.see = see

    def answer(self, question):
        _, method, given = self.asked[question]
        answer = super().answer(question)
        return answer._replace(sights=[self.see(path) for path in given[0]]) if method == "hello" else answer


def test_one_that_judges_otherwise_is_not(cluster):
    port = FakePort(A, judged_by="another")
    with pytest.raises(ConfigError, match="alpha of the cluster judges by another model or policy"):
        cluster(port)
    assert port.closed


def test_without_a_processor_to_judge_with_it_says_so(cluster):
    with pytest.raises(OrientdError, match="no node of the cluster has a processor"):
        cluster(FakePort(Node("0", "head", 0, 0)))


def test_those_that_are_ready_begin_after_a_while_and_others_join_in(cluster):
    port, times, said = FakePort(A, B), iter(range(0, 100_000, 20)), []
    port.mute = {2}
    rows = cluster(port, said, clock=lambda: float(next(times)))
    assert len(rows) == len(PHOTOS)
    assert said[:1] == ["alpha: a note of 1"]


def test_with_none_ready_it_waits_and_says_so(cluster):
    port, said, looks = FakePort(A), [], []
    port.mute = {1}

    def clock():
        looks.append(True)
        if said:
            port.mute = set()
        return float(len(looks) * 20)

    assert len(cluster(port, said, clock=clock)) == len(PHOTOS)
    assert said[0].startswith("waiting for 1 workers of the cluster")


@pytest.mark.parametrize("address", ["local", "", "ray://", "host:6379", "http://host:80", "auto "])
def test_what_is_no_address_of_a_cluster_is_refused(address):
    with pytest.raises(ConfigError, match="write auto"):
        scan.Cluster(address, Config())


def test_addresses_and_providers():
    for address in ("auto", "ray://head:10001", "ray://10.0.0.7:10001", "ray://[::1]:10001"):
        scan.Cluster(address, Config(provider="cuda"))
    with pytest.raises(ConfigError, match="not with tensorrt"):
        scan.Cluster("auto", Config(provider="tensorrt"))


def test_nodes_are_told_what_judging_needs_and_nothing_else():
    kept_here = {"workers", "gpus", "exclude", "exclude_file", "one_file_system", "mtime"}
    assert set(scan.SETTINGS) == {*JUDGING, *WALKING, *WRITING, "method", "first_look"} - kept_here


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The actor died unexpectedly.\n\tnode_id: 1\n\tpid: 2", "The actor died unexpectedly."),
        ("\x1b[36mIt died:\x1b[39m\n  File 1\nModuleNotFoundError: no orientd", "It died: ModuleNotFoundError: no orientd"),
        ("Other versions: there:\n  Ray: 2.6\nand here:\n  Ray: 2.5", "Other versions: there: Ray: 2.6 and here: Ray: 2.5"),
        ("", "OSError"),
    ],
)
def test_of_what_ray_says_a_line_is_told(said, told):
    assert brief(OSError(said) if said else OSError()) == told


HERE = Sight(0x801, 5, 100, "aa")  # a device number of a disk


@pytest.mark.parametrize(
    ("there", "judges", "writes"),
    [
        (HERE, True, True),
        (None, False, False),
        (HERE._replace(sha256="bb"), False, False),
        (HERE._replace(size=99), False, False),
        (HERE._replace(inode=6), True, False),
        (HERE._replace(device=0x811), True, False),
        (HERE._replace(device=0x2A), True, True),  # a network file system has another number on each machine
    ],
)
def test_what_counts_as_the_same_file(there, judges, writes):
    for allowed, writing in ((judges, False), (writes, True)):
        if allowed:
            same_files.check("alpha", "/photos/1", HERE, there, writes=writing)
        else:
            with pytest.raises(ConfigError, match="alpha of the cluster sees"):
                same_files.check("alpha", "/photos/1", HERE, there, writes=writing)
    same_files.check("alpha", "/photos/1", None, there, writes=True)


def test_files_of_every_root_are_looked_at_and_nothing_is_written(photos, tmp_path):
    sky_library.library(photos, 30)
    other = sky_library.draw(tmp_path / "other" / "1.jpg")
    before = sky_library.snapshot(photos)
    roots, config = [str(photos / "0"), str(other.parent), str(photos / "1")], Config(exclude=("000.jpg",))
    found = same_files.samples(roots, config, lambda: False)
    assert len(found) == 9
    assert str(other) in found
    assert str(photos / "0" / "000.jpg") not in found
    assert same_files.see(found[0]).size == before[found[0]][2]
    assert same_files.see(str(photos / "gone")) is None
    assert sky_library.snapshot(photos) == before


def test_a_worker_judges_as_this_machine_does_and_tells_what_hinders_it(model, photos):
    needs = sky_library.library(photos, 12)
    settings = {"model": str(model), "isolate": False}
    worker = Judging(settings, __version__, 1, 2)
    assert worker.hello([next(iter(needs))]).sights[0].size > 0
    rows, notes = worker.judge([Candidate(path, FileStat(1, 1, 1, 1)) for path in needs])
    worker.close()
    assert ({row.path: row.turn for row in rows}, notes) == (needs, [])
    with pytest.raises(ConfigError, match="install the same version"):
        Judging(settings, "0.0", 1, 1).hello([])
    with pytest.raises(ModelError):
        Judging(settings | {"model": "/gone.onnx"}, __version__, 1, 1).hello([])


def test_a_worker_from_which_the_photos_have_gone_says_so_instead_of_an_error_for_each(model, photos):
    needs = sky_library.library(photos, 12)
    worker = Judging({"model": str(model), "isolate": False}, __version__, 1, 2)
    candidates = [Candidate(path, FileStat(1, 1, 1, 1)) for path in needs]
    worker.hello([next(iter(needs)), str(photos / "never there.jpg")])
    os.unlink(candidates[1].path)
    assert len(worker.judge(candidates)[0]) == 12, "one that is gone is an outcome"
    photos.rename(photos.with_name("not mounted"))
    with pytest.raises(LibraryUnavailable, match="the photos cannot be seen there any more"):
        worker.judge(candidates)
    worker.close()
