"""Setting type: lines and paragraphs of one language on one picture."""

from dataclasses import dataclass, field
from random import Random

from PIL import Image, ImageDraw

from orientd_training.data.pages.fonts import Face, Fonts, font, raqm, with_figures
from orientd_training.data.pages.photo import Colour, Photos
from orientd_training.data.pages.words import Language, sentence


@dataclass(frozen=True)
class Kit:
    """What drawings are made of. `photos` (N, S, S, 3) are upright; None leaves plain backgrounds."""

    fonts: Fonts
    photos: Photos | None = None


@dataclass
class Pen:
    """Writes on `image` with `ink`; `size` is that of body text in pixels per em."""

    random: Random
    kit: Kit
    image: Image.Image
    ink: Colour
    size: int
    language: Language = field(init=False)
    face: Face = field(init=False)
    plain: Face = field(init=False)  # for figures and addresses
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        known = list(self.kit.fonts)
        self.language = self.random.choices(known, [language.often for language in known])[0]
        self.face = self.other_face()
        self.plain = self.face if self.face.figures and not self.rtl else self.random.choice(with_figures(self.kit.fonts))
        self.draw = ImageDraw.Draw(self.image)

    def other_face(self) -> Face:
        """Some face for the language."""
        return self.random.choice(self.random.choice(self.kit.fonts[self.language]))

    @property
    def rtl(self) -> bool:
        return self.language.rtl

    def width(self, text: str, size: int, face: Face | None = None) -> float:
        """Pixels that `text` takes."""
        return font(face or self.face, size).getlength(text, direction=self._direction(face or self.face))

    def fitting(self, text: str, width: float, most: int, face: Face | None = None) -> int:
        """The largest size up to `most` at which `text` is at most `width` pixels wide, at least 8."""
        return max(8, min(most, int(most * width / max(1.0, self.width(text, most, face)))))

    def line(
        self,
        box: tuple[float, float],
        y: float,
        text: str,
        size: int,
        align: float = 0,
        face: Face | None = None,
        ink: Colour | None = None,
        edge: Colour | None = None,
    ) -> None:
        """One line between `box` = (left, right); `align` is 0 at the start of the line, 0.5 in the middle, 1 at its end.

        `edge` is the colour of an outline.
        """
        at = 1 - align if self.rtl else align
        x = box[0] + at * (box[1] - box[0] - self.width(text, size, face))
        chosen = face or self.face
        self.draw.text(
            (x, y),
            text,
            fill=ink or self.ink,
            font=font(chosen, size),
            direction=self._direction(chosen),
            stroke_width=max(1, size // 14) if edge else 0,
            stroke_fill=edge,
        )

    def body(self, box: tuple[float, float], y: float, bottom: float, size: int, justify: bool, most: int = 99) -> float:
        """Paragraphs from `y` until `bottom`, at most `most`; returns where they end."""
        step = size * self.random.uniform(1.25, 1.6)
        for _ in range(most):
            words = [
                word for _ in range(self.random.randint(2, 6)) for word in sentence(self.random, self.language, self.face.figures)
            ]
            indent = size * self.random.choice((0, 1.5, 2))
            for row, last in self._rows(words, box[1] - box[0], indent, size):
                if y + step > bottom:
                    return y
                start = (box[0] + (0 if self.rtl else indent), box[1] - (indent if self.rtl else 0))
                self._row(start, y, row, size, justify and not last)
                y, indent = y + step, 0
            y += step * self.random.choice((0, 0, 0.5, 1))
        return y

    def _rows(self, words: list[str], width: float, indent: float, size: int) -> list[tuple[list[str], bool]]:
        """The words broken to lines, and whether a line is the last of its paragraph."""
        space = self.width(" ", size) if self.language.glue else 0.0
        rows: list[list[str]] = [[]]
        room = width - indent
        for word in words:
            taken = self.width(word, size)
            if rows[-1] and taken > room:
                rows.append([])
                room = width
            rows[-1].append(word)
            room -= taken + space
        return [(row, i == len(rows) - 1) for i, row in enumerate(rows)]

    def _row(self, box: tuple[float, float], y: float, row: list[str], size: int, justify: bool) -> None:
        if not justify or len(row) < 2:
            self.line(box, y, self.language.glue.join(row), size)
            return
        taken = [self.width(word, size) for word in row]
        gap = (box[1] - box[0] - sum(taken)) / (len(row) - 1)
        x = box[1] if self.rtl else box[0]
        for word, width in zip(row, taken, strict=True):
            left = x - width if self.rtl else x
            self.line((left, left + width), y, word, size)
            x += -(width + gap) if self.rtl else width + gap

    def _direction(self, face: Face) -> str | None:
        return "rtl" if self.rtl and raqm() and face == self.face else None
