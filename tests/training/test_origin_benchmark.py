"""The benchmark of camera and origin: what it calls a file, how it compares the sensor, what a voice of the camera changes."""

import json

import numpy as np
import pytest
from orientd_training.evaluate.predictions import Shown
from support import noted_photos
from support.noted_photos import Taken

from benchmarks import origin as benchmark
from orientd.formats.maker_notes import Held
from orientd.formats.origin import Origin

LIES, STANDS, SQUARE = (400, 300), (300, 400), (300, 300)


@pytest.mark.parametrize(
    ("found", "data", "name"),
    [
        (Origin("Apple", "iPhone 13", "17.6", Held(6)), b"", "camera, with a reading of its sensor"),
        (Origin("Google", "Pixel 7", "HDR+", None), b"", "camera, without a reading"),
        (Origin("Canon", "Canon EOS 6D", "Adobe Lightroom", None), b"", "editor"),
        (Origin("", "", "GooglePhotoScan", None), b"", "scanner"),
        (Origin("", "", "", None), b"", benchmark.CAMERALESS),
        (Origin("", "", "", None), b"...FBMD0123", "a service of Meta"),
        (None, b"...FBMD0123", "a service of Meta"),
        (None, b"", "no EXIF"),
    ],
)
def test_what_made_a_file(found, data, name):
    assert benchmark.kind(data, found) == name


@pytest.mark.parametrize(
    ("held", "stored", "size", "said"),
    [
        (None, 6, LIES, benchmark.NONE),
        (Held(None), 6, LIES, benchmark.FLAT),
        (Held(6), 6, LIES, benchmark.AGREES),
        (Held(1), None, LIES, benchmark.AGREES),
        (Held(6), 1, LIES, benchmark.OTHER),
        (Held(6), 6, STANDS, benchmark.OTHER),
        (Held(6), 1, STANDS, benchmark.TURNED),
        (Held(1), 1, STANDS, benchmark.OTHER),
        (Held(6), 5, LIES, benchmark.UNLIKE),
        (Held(6), 1, SQUARE, benchmark.UNLIKE),
    ],
)
def test_the_stored_orientation_beside_the_sensors(held, stored, size, said):
    assert benchmark.sensor(Origin("", "", "", held), stored, size) == said


def test_a_camera_speaks_for_upright_alone():
    second = np.full((2, 4, 4), 0.25)
    seen = Shown(second, second, second[:, :, None])
    speaks = np.array([True, False])
    silent = benchmark.with_camera(seen, speaks, np.log(3.0), errs=False).second
    assert silent[0, 0] == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6])
    assert (silent[0, 1:] == 0.25).all()
    errs = benchmark.with_camera(seen, speaks, np.log(3.0), errs=True).second
    assert errs[0] == pytest.approx(np.tile([0.5, 1 / 6, 1 / 6, 1 / 6], (4, 1)))
    assert (errs[1] == 0.25).all()
    assert (seen.second == 0.25).all()


def test_it_runs_to_its_end(tmp_path, monkeypatch, capsys):
    folder, said = tmp_path / "fit", []
    (folder / "upright").mkdir(parents=True)
    rows = ["path,turn,owner"]
    for number in range(10):
        (folder / "upright" / f"{number}.jpg").write_bytes(noted_photos.jpeg(Taken(note=noted_photos.apple(-1, 1, 0, 1, 0, 1))))
        rows += [f"upright/{number}.jpg,0,owner{number % 5}", f"turned/{number}.jpg,90,owner{number % 5}"]
        views = np.log(np.full((8, 4), 0.1) + np.array([0.6, 0, 0, 0])).tolist()
        said.append({"name": f"fit/upright/{number}.jpg", "views": views, "scores": {"faces": [2.0, 0.0, 0.0, 0.0]}})
    (folder / "truth.csv").write_text("\n".join(rows))
    evidence = tmp_path / "evidence.jsonl"
    evidence.write_text("\n".join(map(json.dumps, said)))
    monkeypatch.setattr("sys.argv", ["origin", str(folder), "--evidence", str(evidence)])
    benchmark.main()
    told = capsys.readouterr().out
    assert "| camera, with a reading of its sensor | 10 | 10 | 0 | 0 | 0.0 (0.0–368.9) |" in told
    assert "| upright | 10 | 0 | 0 | 0 | 0 | 0 |" in told
    assert "| agrees | 10 (100.0%) |" in told
