"""A run has one engine, whatever the number of its threads: each would hold its weights and room for its runs a second time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from support import probe_pictures

from orientd.config import Config
from orientd.files.read import file_stat
from orientd.infer import registry
from orientd.pipeline.stages import make_judge
from orientd.records import Candidate

THREADS = 4


def test_all_threads_and_the_witnesses_ask_one_engine(tmp_path, monkeypatch):
    opened, real = [], registry.Model.open
    monkeypatch.setattr(registry.Model, "open", lambda self, *providers: opened.append(self) or real(self, *providers))
    candidates = []
    for number in range(THREADS):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(probe_pictures.as_jpeg(probe_pictures.noise(number, 2.0)))
        candidates.append(Candidate(str(path), file_stat(path.stat())))
    judge, _ = make_judge(Config(isolate=False))
    together = Barrier(THREADS)

    def judged(candidate):
        together.wait(60)
        return judge([candidate])

    with ThreadPoolExecutor(THREADS) as pool:
        rows = list(pool.map(judged, candidates))
    assert all(row.evidence for (row,) in rows), "no witness was asked"
    assert rows == [judge([candidate]) for candidate in candidates]
    assert len(opened) == 1
