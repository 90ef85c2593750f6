"""What all witnesses say of whole photos, asked once; fitting a panel is arithmetic on that."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.errors import ConfigError, PhotoError, StateError
from orientd.infer.engine import Engine
from orientd.records import FileStat, Photo
from orientd.witnesses.opened import SIDE, Witness
from orientd_training.data.albums import AlbumPhoto
from orientd_training.evaluate.panel_trial import Heard
from orientd_training.evaluate.predictions import Looks

Said = dict[str, Any]
"""Of one photo its `name`, the scene network's `views` as logits (8, 4) and `scores` (4) by witness; or the `reason` for none."""

_NO_STAT: Final = FileStat(0, 0, 0, 0)
_SILENT: Final = (0.0, 0.0, 0.0, 0.0)


def collect(
    engine: Engine,
    witnesses: Mapping[str, Witness],
    photos: Sequence[AlbumPhoto],
    kept: Path | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Heard:
    """Ask everybody about every photo. What the file `kept` holds is taken from there, what is new is added to it.

    A photo that cannot be decoded is left out, which is said.

    Raises:
        ConfigError: there is none that can be decoded, or two have one name.
        StateError: `kept` cannot be written.
    """
    if len({photo.name for photo in photos}) < len(photos):
        raise ConfigError("two albums have photos of one name: give each folder once, with a name of its own")
    known = {said["name"]: said for said in _read(kept, set(witnesses))} if kept else {}
    decoder = CpuDecoder(engine.spec.input_size)
    new = (_ask(engine, witnesses, decoder, photo) for photo in photos if photo.name not in known)
    known |= {said["name"]: said for said in (_writing(new, kept) if kept else new)}
    return _heard(engine, sorted(witnesses), [(photo, known[photo.name]) for photo in photos], say)


def _ask(engine: Engine, witnesses: Mapping[str, Witness], decoder: CpuDecoder, album: AlbumPhoto) -> Said:
    try:
        data = album.path.read_bytes()
        kind = formats.sniff(data)
        photo = Photo(str(album.path), _NO_STAT, kind, data, formats.stored_orientation(kind, data), "")
        square, picture = decoder.decode(photo, whole=False).pixels, decoder.fitted(photo, SIDE).pixels
    except (OSError, PhotoError) as error:
        return {"name": album.name, "reason": str(error)}
    rows = np.array(engine.look_again(square).by_view)
    views = np.log(np.maximum(rows, 1e-12)) * engine.spec.temperature
    evidence = {name: witness.look(picture) for name, witness in witnesses.items()}
    scores = {name: said and list(said.scores) for name, said in evidence.items()}
    return {"name": album.name, "views": views.tolist(), "scores": scores}


def _heard(
    engine: Engine, witnesses: Sequence[str], asked: Sequence[tuple[AlbumPhoto, Said]], say: Callable[[str], object]
) -> Heard:
    for photo, said in asked:
        if "reason" in said:
            say(f"left out: {photo.path}: {said['reason']}")
    good = [(photo, said) for photo, said in asked if "views" in said]
    if not good:
        raise ConfigError("none of the photos in the albums can be decoded")
    names, owners = tuple(photo.name for photo, _ in good), tuple(photo.owner for photo, _ in good)
    views = np.array([said["views"] for _, said in good])
    looks = Looks(views, names, owners, engine.spec.temperature, engine.spec.temperature_views)
    return Heard(looks, {name: np.array([said["scores"][name] or _SILENT for _, said in good]) for name in witnesses})


def _writing(new: Iterable[Said], kept: Path) -> Iterator[Said]:
    """The same, each written before the next is asked for."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a", encoding="utf-8") as file:
            file.write("\n")  # a line that was cut off ends here
            for said in new:
                file.write(json.dumps(said) + "\n")
                file.flush()
                yield said
    except OSError as error:
        raise StateError(f"{kept} cannot be written ({error.strerror}): name another place, or make room") from error


def _read(kept: Path, witnesses: set[str]) -> list[Said]:
    """What was said in full: a line that was cut off, as by a power cut, counts as none, and so does a photo left out."""
    try:
        lines = kept.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = [said for line in lines if isinstance(said := _parsed(line), dict)]
    return [said for said in found if witnesses <= set(said.get("scores", ()))]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
