"""The witnesses that can be asked here: those whose models are there and sound."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from orientd.errors import ModelError
from orientd.infer.engine import Engine
from orientd.infer.registry import BUNDLED
from orientd.infer.session import Graph
from orientd.records import Evidence, Notify
from orientd.witnesses.faces import Faces
from orientd.witnesses.letters import Letters
from orientd.witnesses.pages import Pages
from orientd.witnesses.people import People
from orientd.witnesses.scene import Scene
from orientd.witnesses.surroundings import Surroundings
from orientd.witnesses.things import Things
from orientd.witnesses.views import Pixels

FOLDER: Final = BUNDLED / "witnesses"
SIDE: Final = 640
"""The longer side, in pixels, of the pictures that witnesses are shown, at most."""

MODELS: Final[Mapping[str, tuple[type[Pages | Faces | People | Surroundings | Things], Mapping[str, str]]]] = {
    "pages": (
        Pages,
        {
            "pages": "f9ad92e2b42ba8968e205add8e6e25d658d8bc0f888759fc60e6aa5bcca3bb0f",
            "print": "0081f52114e521cda9fe851a9164bb677bfd21f82bdee977ca86e4ac39cdb4c6",
        },
    ),
    "faces": (Faces, {"faces": "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"}),
    "people": (People, {"people": "67dc571263b4e16b2622b2b460bad3157a7b5d941eac58d768a7fbfb10d41435"}),
    "surroundings": (Surroundings, {"surroundings": "369b0b1f2a27117c05949e27c106cb66d054df0ece2f42ee5d2117af584ff90c"}),
    "things": (
        Things,
        {
            "things": "46d93b9d803d978cfe1130991d43411342d832466a426a914ee12c1e8f29ae30",
            "layout": "9a7f7294b58b9aa6c6975191762481b07db5ad27ce5cb04511f5bffb68ea9f16",
        },
    ),
}
"""What asks the models that come with orientd, and the SHA-256 of each file by its name."""

LETTERS: Final = "6dc9970779f889044dfa07c65075f43bc6797f0a42b4bc83d4f8d06e996537b4"
"""The SHA-256 of letters.onnx, which hears pages alone, never photos of a scan."""


class Witness(Protocol):
    """Looks at a picture and says how much speaks for each turn. May be used from several threads at once.

    A turned picture gets the same scores to the bit, in other places.
    """

    name: str

    def look(self, picture: Pixels) -> Evidence | None:
        """What speaks for each turn, None if nothing at all.

        picture: uint8 of shape (height, width, 3), RGB, as viewers show the photo, its longer side `SIDE` pixels at most.
        """
        ...


def askable(names: Iterable[str], second_size: int, folder: Path = FOLDER) -> tuple[str, ...]:
    """Those of `names` that can be asked here: their files are there, and what they were; nothing is opened yet.

    second_size: the side of the model's second look (`ModelSpec.second_size`).
    """
    return tuple(name for name in names if name == f"scene-{second_size}" or _is_sound(name, folder))


def open_witnesses(engine: Engine, notify: Notify, folder: Path = FOLDER) -> dict[str, Witness | None]:
    """All witnesses by name, None for one that cannot be asked, which is reported; the closer look at the scene is by `engine`.

    Raises:
        EngineUnavailable: ONNX Runtime is not there.
    """
    second = engine.spec.second_size
    closer: dict[str, Witness | None] = {f"scene-{second}": Scene(f"scene-{second}", second, engine.logits)} if second else {}
    return closer | {name: _opened(name, folder, notify) for name in MODELS}


def open_pages(folder: Path = FOLDER) -> Pages:
    """The witness of pages alone, for what is known to be pages.

    Raises:
        EngineUnavailable: ONNX Runtime is not there.
        ModelError: its model is missing or damaged.
    """
    return Pages(_graph("pages", MODELS["pages"][1]["pages"], folder))


def open_letters(folder: Path = FOLDER) -> Letters:
    """What reads close-ups of what is known to be pages. Raises as `open_pages`."""
    return Letters(_graph("letters", LETTERS, folder))


def _is_sound(name: str, folder: Path) -> bool:
    files = MODELS[name][1] if name in MODELS else {}
    return bool(files) and all(_is_file(folder / f"{file}.onnx", sha256) for file, sha256 in files.items())


def _is_file(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _opened(name: str, folder: Path, notify: Notify) -> Witness | None:
    kind, files = MODELS[name]
    try:
        return kind(*(_graph(file, sha256, folder) for file, sha256 in files.items()))
    except ModelError as error:
        notify(f"orientd judges without its witness {name!r}: {error}")
        return None


def _graph(file: str, sha256: str, folder: Path) -> Graph:
    return Graph(folder / f"{file}.onnx", sha256)
