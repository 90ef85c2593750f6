"""What is excluded, and what belongs to another program, is left alone by orientd watch --fix."""

import os
from pathlib import Path

from support import sky_library
from support import watcher as watching
from support.watch_process import Process

_model, photos = watching.model_of_skies, watching.photos


def test_what_is_excluded_or_belongs_to_another_is_left_alone(photos):
    settings = Path(os.environ["XDG_CONFIG_HOME"], "orientd", "orientd.yaml")
    settings.parent.mkdir(parents=True)
    settings.write_text(f"exclude: ['{photos}/protected']\n")
    wrong = {name: sky_library.draw(photos / name / "a.jpg", 90) for name in ("protected", "marked", "immich", "z")}
    (photos / "marked" / ".orientd-ignore").touch()
    (photos / "immich" / ".immich").touch()
    with Process(photos, "--fix").ready() as watcher:
        watcher.says("fixed")
        watcher.says("left alone")
        assert watcher.end() == 0
    told = {line["path"]: line["message"] for line in watcher.lines if "path" in line}
    assert told.keys() == {str(wrong["immich"]), str(wrong["z"])}
    assert f"{photos}/immich is Immich's own library" in told[str(wrong["immich"])]
    assert {name for name, path in wrong.items() if sky_library.shown_turned(path)} == {"protected", "marked", "immich"}
