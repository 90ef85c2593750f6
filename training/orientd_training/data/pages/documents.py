"""Pages: letters, books, receipts, forms, newspapers, lists, slides and tables, photographed or scanned."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from PIL import Image

from orientd_training.data.pages.pen import Kit, Pen
from orientd_training.data.pages.photo import (
    Size,
    backdrop,
    brightness,
    colour,
    contrasting,
    field,
    lay,
    rounded,
    shoot,
    snippet,
    surface,
)
from orientd_training.data.pages.words import contact, date, phrase, plate, price, sentence, shout


class Sheet(NamedTuple):
    """A kind of page: how it is drawn, its aspects (width ÷ height), the range of body sizes as parts of the short side."""

    draw: Callable[[Pen, float], None]
    aspects: tuple[float, ...]
    sizes: tuple[float, float]


def page(random: Random, kit: Kit) -> Image.Image:
    """An upright page as a scan, a photo on a table, or a close-up."""
    sheet = random.choices(SHEETS, WEIGHTS)[0]
    aspect = random.choice(sheet.aspects) * random.uniform(0.95, 1.05)
    short = random.randint(520, 720)
    size = (short, round(short / aspect)) if aspect < 1 else (round(short * aspect), short)
    low, high = sheet.sizes
    pen = _paper(random, kit, size, round(short * low * (high / low) ** random.random()))
    sheet.draw(pen, short * random.uniform(0.05, 0.1))
    return _seen(random, kit, pen.image, most=0.1 * short / pen.size)


def _paper(random: Random, kit: Kit, size: Size, em: int) -> Pen:
    shade = colour(random, 225, 255, 0.4) if random.random() < 0.85 else colour(random, 60, 240)
    paper = surface(random, size, shade, random.uniform(0, 0.15))
    ink = colour(random, 0, 60, 0.3) if random.random() < 0.7 and brightness(shade) > 150 else contrasting(random, shade)
    return Pen(random, kit, paper, ink, em)


def _seen(random: Random, kit: Kit, sheet: Image.Image, most: float) -> Image.Image:
    """`most` bounds a close-up: nearer, and too few letters would be left in the picture."""
    how = random.random()
    if how < 0.25:  # a scan
        ground = Image.new("RGB", sheet.size, colour(random, 180, 255, 0.1))
        return shoot(random, lay(random, sheet, ground, random.uniform(0.97, 1.03), random.uniform(0, 0.3)), 0.5)
    wide, high = random.choice(((3, 4), (3, 4), (4, 3), (9, 16), (1, 1), (2, 3)))
    short = random.randint(512, 720)
    ground = backdrop(
        random, kit.photos, (round(short * wide / min(wide, high)), round(short * high / min(wide, high))), turned=True
    )
    across, down = ground.width / sheet.width, ground.height / sheet.height
    nearer = max(across, down) / min(across, down) * random.uniform(1, 1.5)
    scale = random.uniform(0.8, 1.0) if how < 0.6 else max(0.9, min(nearer, most, 2.5))
    if random.random() < 0.1:
        sheet = rounded(sheet, sheet.width // 20)
    return shoot(random, lay(random, sheet, ground, scale, 1), 1)


def _box(pen: Pen, margin: float) -> tuple[float, float]:
    return margin, pen.image.width - margin


def _title(pen: Pen, box: tuple[float, float], y: float, most: float, align: float = 0) -> float:
    text = shout(pen.random, pen.language, 4)
    size = pen.fitting(text, box[1] - box[0], round(most))
    pen.line(box, y, text, size, align)
    return y + size * 1.6


def _picture(pen: Pen, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = (round(value) for value in box)
    if right - left < 16 or bottom - top < 16:
        return
    size = (right - left, bottom - top)
    photos = pen.kit.photos
    drawn = snippet(pen.random, photos, size) if photos is not None else field(pen.random, size, 3)
    pen.image.paste(drawn.convert("RGB"), (left, top))


def _letter(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    y = _title(pen, box, margin, size * random.uniform(1.3, 2.2), random.choice((0, 0, 0.5, 1)))
    for _ in range(random.randint(0, 3)):
        pen.line(box, y, contact(random), round(size * 0.8), random.choice((0, 0, 1)), pen.plain)
        y += size * 1.2
    pen.line(box, y + size, date(random), size, 1, pen.plain)
    y += size * 3
    end = pen.body(box, y, high * random.uniform(0.6, 0.95), size, justify=False, most=random.randint(2, 6))
    if end < high - 6 * size:
        pen.line(box, end + size, phrase(random, pen.language, 2), size)
        points = [(box[0] + size * i * 0.4, end + size * random.uniform(2.6, 4.4)) for i in range(12)]
        pen.draw.line(points, fill=colour(random, 0, 120), width=max(2, size // 10), joint="curve")


def _book(pen: Pen, margin: float) -> None:
    random, size, wide, high = pen.random, pen.size, pen.image.width, pen.image.height
    columns = 2 if wide > high or (size < wide / 25 and random.random() < 0.4) else 1
    span = (wide - margin) / columns
    justify = random.random() < 0.6
    for i in range(columns):
        box = (margin + i * span, (i + 1) * span)
        y = margin
        if random.random() < 0.6:
            pen.line(box, y, phrase(random, pen.language, 3), round(size * 0.8), random.choice((0, 0.5)))
            y += size * 2
        if random.random() < 0.5:
            y = _title(pen, box, y + size * random.uniform(0, 4), size * random.uniform(1.3, 2), random.choice((0, 0.5)))
        end = pen.body(box, y, high - margin - 1.5 * size, size, justify, random.choice((3, 99, 99)))
        if i == columns - 1 and end < high * 0.6:
            _picture(pen, (box[0], end + size, box[1], high - margin - 2 * size))
        pen.line(box, high - margin, str(random.randint(2, 500)), round(size * 0.8), 0.5, pen.plain)
    if wide > high:
        pen.draw.line((wide / 2, 0, wide / 2, high), fill=colour(random, 120, 190, 0), width=3)


def _receipt(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    y = _title(pen, box, margin, size * random.uniform(1.2, 2), 0.5)
    for _ in range(random.randint(1, 3)):
        pen.line(box, y, random.choice((contact, date))(random), round(size * 0.8), 0.5, pen.plain)
        y += size * 1.2
    y += size
    total = high - margin - size * random.choice((5, 8, 12))
    while y < total:
        pen.line(box, y, price(random), size, 1, pen.plain)
        text = phrase(random, pen.language, 2)
        pen.line(box, y, text, pen.fitting(text, (box[1] - box[0]) * 0.6, size), 0)
        y += size * 1.4
    pen.draw.line((box[0], y, box[1], y), fill=pen.ink, width=2)
    big = round(size * random.uniform(1.1, 1.5))
    text = shout(random, pen.language, 1)
    pen.line(box, y + size * 0.4, text, pen.fitting(text, (box[1] - box[0]) * 0.5, big), 0)
    pen.line(box, y + size * 0.4, price(random), big, 1, pen.plain)
    y += size * 2.5
    if random.random() < 0.5:
        x = box[0]
        while x < box[1] - 8:
            bar = random.randint(1, 6)
            pen.draw.rectangle((x, y, x + bar, y + 2.5 * size), fill=pen.ink)
            x += bar + random.randint(2, 7)
        pen.line(box, y + 2.6 * size, plate(random), round(size * 0.8), 0.5, pen.plain)


def _form(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    y = _title(pen, box, margin, size * random.uniform(1.2, 2), random.choice((0, 0.5)))
    boxed = random.random() < 0.5
    hand, blue = pen.other_face(), colour(random, 0, 90)
    while y < high - margin - 4 * size:
        kind = random.random()
        if kind < 0.2:
            y = pen.body(box, y, min(high - margin, y + 5 * size), round(size * 0.8), justify=False, most=1) + size * 0.5
        elif kind < 0.4:
            pen.draw.rectangle((box[0], y, box[0] + size, y + size), outline=pen.ink, width=2)
            pen.line((box[0] + 1.6 * size, box[1] - 1.6 * size), y, phrase(random, pen.language, 3), size)
            y += size * 1.6
        else:
            pen.line(box, y, phrase(random, pen.language, 2), round(size * 0.7))
            y += size * 0.9
            pen.line(box, y, phrase(random, pen.language, 3), size, 0, hand, ink=blue)
            edges = (box[0], y, box[1], y + 1.5 * size) if boxed else (box[0], y + 1.45 * size, box[1], y + 1.5 * size)
            pen.draw.rectangle(edges, outline=pen.ink, width=2)
            y += size * 2


def _newspaper(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    y = _title(pen, box, margin * 0.6, size * 5, 0.5)
    pen.draw.line((box[0], y, box[1], y), fill=pen.ink, width=3)
    y = _title(pen, box, y + size * 0.5, size * 3, random.choice((0, 0.5)))
    columns = random.randint(2, 4)
    span = (box[1] - box[0] + size) / columns
    for i in range(columns):
        column = (box[0] + i * span, box[0] + (i + 1) * span - size)
        top = y
        while top < high - margin - 3 * size:
            if random.random() < 0.45:
                bottom = min(high - margin, top + span * random.uniform(0.5, 1))
                _picture(pen, (column[0], top, column[1], bottom))
                top = bottom + size * 0.5
            elif random.random() < 0.4:
                top = _title(pen, column, top, size * 1.8)
            top = pen.body(column, top, high - margin, size, justify=True, most=random.randint(1, 3)) + size


def _list(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    step = size * random.uniform(1.4, 1.9)
    if random.random() < 0.4:  # a ruled notebook
        rule = colour(random, 150, 220)
        for i in range(int(high / step)):
            pen.draw.line(
                (0, margin + i * step + size * 1.2, pen.image.width, margin + i * step + size * 1.2), fill=rule, width=2
            )
    pen.line(box, margin, shout(random, pen.language, 2), round(size * 1.1))
    mark = random.choice(("circle", "box", "number", "none"))
    y = margin + 2 * step
    for i in range(random.randint(3, 16)):
        if y > high - margin - step:
            return
        x = box[1] - size if pen.rtl else box[0]
        if mark == "circle":
            pen.draw.ellipse((x, y + size * 0.4, x + size * 0.4, y + size * 0.8), fill=pen.ink)
        elif mark == "box":
            pen.draw.rectangle((x, y + size * 0.2, x + size * 0.8, y + size), outline=pen.ink, width=2)
        elif mark == "number":
            pen.line(box, y, f"{i + 1}.", size, 0, pen.plain)
        text = phrase(random, pen.language, 4)
        room = (box[0] + 1.8 * size, box[1] - 1.8 * size)
        pen.line(room, y, text, pen.fitting(text, room[1] - room[0], size))
        y += step


def _slide(pen: Pen, margin: float) -> None:
    random, (wide, high), size = pen.random, pen.image.size, pen.size
    box, ink = _box(pen, margin), pen.ink
    y = margin
    if random.random() < 0.5:
        bar = colour(random)
        pen.draw.rectangle((0, 0, wide, margin + size * 2.4), fill=bar)
        pen.ink = contrasting(random, bar)
    y = _title(pen, box, y, size * 1.7, random.choice((0, 0, 0.5))) + size
    pen.ink = ink
    side_by_side = random.random() < 0.4
    for _ in range(random.randint(2, 6)):
        if y < high - margin - size:
            half = (box[0], wide * 0.55) if side_by_side else box
            text = phrase(random, pen.language, 5)
            pen.line(half, y, text, pen.fitting(text, half[1] - half[0], size))
            y += size * 1.7
    if side_by_side:
        _picture(pen, (wide * 0.6, margin + size * 3, box[1], high - margin))
    pen.line(box, high - size, str(random.randint(2, 60)), size // 2 + 4, 1, pen.plain)


def _table(pen: Pen, margin: float) -> None:
    random, box, size, high = pen.random, _box(pen, margin), pen.size, pen.image.height
    y = _title(pen, box, margin, size * 1.6)
    columns, step = random.randint(2, 5), size * 1.7
    span = (box[1] - box[0]) / columns
    head, ruled = colour(random, 140, 230), random.random() < 0.6
    pen.draw.rectangle((*(box[0], y), *(box[1], y + step)), fill=head)
    for row in range(random.randint(4, 24)):
        if y > high - margin - step:
            return
        for i in range(columns):
            cell = (box[0] + i * span + 6, box[0] + (i + 1) * span - 6)
            words = row == 0 or i == (columns - 1 if pen.rtl else 0)
            text = phrase(random, pen.language, 2) if words else random.choice((price, date))(random)
            face = None if words else pen.plain
            fits = pen.fitting(text, cell[1] - cell[0], size, face)
            pen.line(cell, y + size * 0.2, text, fits, 0 if words else 1, face)
            if ruled:
                pen.draw.rectangle((cell[0] - 6, y, cell[1] + 6, y + step), outline=pen.ink)
        y += step


def _essay(pen: Pen, margin: float) -> None:
    """Nothing but a few large lines, as in a close-up of a book or a note."""
    text = " ".join(sentence(pen.random, pen.language, figures=False)[:1])
    pen.line(_box(pen, margin), margin, text, round(pen.size * 1.2))
    pen.body(_box(pen, margin), margin + pen.size * 2.2, pen.image.height - margin, pen.size, justify=False, most=3)


_A4, _BROAD = (0.707, 0.707, 0.75), (1.333, 1.414, 1.778)
SHEETS = (
    Sheet(_letter, (*_A4, 1.0), (1 / 38, 1 / 13)),
    Sheet(_book, (*_A4, 0.65, 1.414), (1 / 34, 1 / 12)),
    Sheet(_receipt, (0.33, 0.4, 0.5, 0.6), (1 / 16, 1 / 9)),
    Sheet(_form, (*_A4, 1.414), (1 / 28, 1 / 12)),
    Sheet(_newspaper, (*_A4, 1.3), (1 / 40, 1 / 18)),
    Sheet(_list, (*_A4, 0.6, 1.0, 1.4), (1 / 22, 1 / 8)),
    Sheet(_slide, _BROAD, (1 / 16, 1 / 9)),
    Sheet(_table, (*_A4, *_BROAD), (1 / 26, 1 / 12)),
    Sheet(_essay, (0.7, 1.0, 1.4), (1 / 14, 1 / 6)),
)
WEIGHTS = (4, 4, 3, 2, 3, 3, 2, 2, 3)
