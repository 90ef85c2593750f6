"""Sixty upright photos of people who lie or tilt their heads, of water that mirrors, from above and from below: one is turned.

They are read from the albums that `../shared/albums/make.py` builds, in the folders fit and judge of the folder that the
environment variable ALBUMS names.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from support import sky_library

LIST = Path(__file__).with_name("hard_to_tell.tsv")
TURNED = {"fit/upright/photography-6d955b7740.jpg"}  # a head at rest on an arm, taken for a portrait (a studio's)


def listed() -> dict[str, str]:
    """What makes a photo hard to tell, by its path in the albums."""
    lines = LIST.read_text(encoding="utf-8").splitlines()[1:]
    return {path: why for why, path in (line.split("\t") for line in lines)}


def test_there_are_sixty() -> None:
    assert len(listed()) == 60
    assert Counter(listed().values())["lies-or-tilts"] > 30


@pytest.mark.slow
def test_of_sixty_photos_that_are_hard_to_tell_one_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    albums = os.environ.get("ALBUMS")
    if not albums:
        pytest.skip("ALBUMS names no folder with the albums")
    names = tmp_path / "names"
    names.write_text("".join(f"{Path(albums, path)}\n" for path in listed()), encoding="utf-8")
    report = tmp_path / "report.csv"
    assert sky_library.run("scan", "--files-from", names, "--report", report, monkeypatch=monkeypatch) == 0
    decisions = {str(Path(row["path"]).relative_to(albums)): row["decision"] for row in sky_library.rows(report).values()}
    print(dict(Counter(decisions.values())))
    assert decisions.keys() == listed().keys()
    assert {path for path, decision in decisions.items() if decision not in ("keep", "unsure")} == TURNED
