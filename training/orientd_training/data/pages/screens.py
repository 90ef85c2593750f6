"""Screenshots: chats, lists of settings, articles, and editors."""

from random import Random

from PIL import Image

from orientd_training.data.pages.fonts import font
from orientd_training.data.pages.pen import Kit, Pen
from orientd_training.data.pages.photo import Colour, backdrop, brightness, colour, contrasting, lay, rounded, shoot, snippet
from orientd_training.data.pages.words import contact, phrase, sentence, shout


def screen(random: Random, kit: Kit) -> Image.Image:
    """An upright screenshot; one in six is a photo of the screen."""
    draw = random.choices((_chat, _settings, _article, _editor), (5, 2, 2, 2))[0]
    aspect = random.choice((1.6, 1.778, 1.333)) if draw is _editor else random.choice((9 / 19.5, 9 / 19.5, 9 / 16, 3 / 4))
    short = random.randint(512, 640)
    size = (short, round(short / aspect)) if aspect < 1 else (round(short * aspect), short)
    ground = colour(random, 225, 255, 0.3) if random.random() < 0.6 else colour(random, 0, 50, 0.4)
    pen = Pen(random, kit, Image.new("RGB", size, ground), contrasting(random, ground), round(short / random.uniform(14, 26)))
    draw(pen, ground)
    if random.random() > 1 / 6:
        return shoot(random, pen.image, 0.1)
    behind = backdrop(random, kit.photos, (640, 800) if aspect < 1 else (800, 640), turned=True)
    return shoot(random, lay(random, rounded(pen.image, 30), behind, random.uniform(0.85, 1.2), 1), 1)


def _status(pen: Pen) -> float:
    """Clock and battery; returns where they end."""
    wide, em = pen.image.width, max(14, pen.size * 2 // 3)
    clock = f"{pen.random.randint(0, 23):02}:{pen.random.randint(0, 59):02}"
    pen.draw.text((em, em * 0.5), clock, fill=pen.ink, font=font(pen.plain, em))
    pen.draw.rectangle((wide - 3 * em, em * 0.7, wide - em, em * 1.5), outline=pen.ink, width=2)
    pen.draw.rectangle((wide - 3 * em, em * 0.7, wide - pen.random.uniform(1.2, 2.5) * em, em * 1.5), fill=pen.ink)
    return em * 2.2


def _avatar(pen: Pen, x: float, y: float, side: float) -> None:
    """A round picture."""
    whole = (round(side), round(side))
    photos = pen.kit.photos
    face = snippet(pen.random, photos, whole) if photos is not None else Image.new("RGB", whole, colour(pen.random))
    disc = rounded(face, whole[0] // 2)
    pen.image.paste(disc, (round(x), round(y)), disc)


def _chat(pen: Pen, ground: Colour) -> None:
    random, (wide, high), em = pen.random, pen.image.size, pen.size
    bar = colour(random, 0, 255, 0.8)
    y = _status(pen)
    pen.draw.rectangle((0, y, wide, y + em * 3), fill=bar)
    _avatar(pen, wide - 3.1 * em if pen.rtl else em * 0.6, y + em * 0.25, em * 2.5)
    ink = contrasting(random, bar)
    pen.line((em * 3.6, wide - em * 3.6), y + em * 0.7, shout(random, pen.language, 2), em, ink=ink)
    shades = (
        colour(random, 60, 250),
        colour(random, 200, 250, 0.2) if brightness(ground) < 128 else colour(random, 60, 200, 0.4),
    )
    y += em * 4
    while y < high - 5 * em:
        mine = random.random() < 0.5
        y = _bubble(pen, y, mine, shades[mine], high - 3 * em)
    pen.draw.rounded_rectangle((em, high - 2.4 * em, wide - 3 * em, high - 0.6 * em), em, outline=pen.ink, width=2)
    pen.draw.ellipse((wide - 2.5 * em, high - 2.4 * em, wide - 0.7 * em, high - 0.6 * em), fill=bar)


def _bubble(pen: Pen, y: float, mine: bool, shade: Colour, bottom: float) -> float:
    random, wide, em = pen.random, pen.image.width, pen.size
    span = wide * random.uniform(0.5, 0.75)
    left = wide - span - em * 0.7 if mine else em * 0.7
    if pen.kit.photos is not None and random.random() < 0.15 and y + span * 0.7 < bottom:
        picture = rounded(snippet(random, pen.kit.photos, (round(span), round(span * 0.7))), round(em * 0.7))
        pen.image.paste(picture, (round(left), round(y)), picture)
        return y + span * 0.7 + em
    rows = random.randint(1, 4)
    if y + rows * em * 1.4 + em > bottom:
        return bottom
    pen.draw.rounded_rectangle((left, y, left + span, y + rows * em * 1.4 + em * 0.7), em * 0.7, fill=shade)
    for i in range(rows):
        text = pen.language.glue.join(sentence(random, pen.language, pen.face.figures)[: 5 if i < rows - 1 else 2])
        size = pen.fitting(text, span - em * 1.4, em)
        inner = (left + em * 0.7, left + span - em * 0.7)
        pen.line(inner, y + em * 0.3 + i * em * 1.4, text, size, ink=contrasting(random, shade))
    return y + rows * em * 1.4 + em * random.uniform(1, 2)


def _settings(pen: Pen, ground: Colour) -> None:
    random, (wide, high), em = pen.random, pen.image.size, pen.size
    box = (em, wide - em)
    y = _status(pen) + em
    pen.line(box, y, shout(random, pen.language, 2), round(em * 1.6))
    y += em * 3.5
    while y < high - 3 * em:
        side = wide - 2.8 * em if pen.rtl else em
        pen.draw.rounded_rectangle((side, y, side + 1.8 * em, y + 1.8 * em), em // 2, fill=colour(random, 60, 230))
        inner = (em * 3.6, wide - em * 3.6)
        pen.line(inner, y, phrase(random, pen.language, 2), em)
        pen.line(inner, y + em * 1.2, phrase(random, pen.language, 3), round(em * 0.6))
        if random.random() < 0.5:
            at = em if pen.rtl else wide - 3 * em
            pen.draw.rounded_rectangle((at, y + em * 0.4, at + 2 * em, y + em * 1.4), em // 2, fill=colour(random, 80, 220))
        y += em * 2.8
        pen.draw.line((inner[0], y - em * 0.5, wide, y - em * 0.5), fill=(128, 128, 128))


def _article(pen: Pen, ground: Colour) -> None:
    random, (wide, high), em = pen.random, pen.image.size, pen.size
    box = (em, wide - em)
    y = _status(pen)
    pen.draw.rounded_rectangle((em, y, wide - em, y + 1.8 * em), em, outline=pen.ink, width=2)
    pen.line((2 * em, wide - 2 * em), y + em * 0.3, contact(random), round(em * 0.8), 0.5, pen.plain)
    y += em * 3
    text = shout(random, pen.language, 4)
    size = pen.fitting(text, box[1] - box[0], em * 2)
    pen.line(box, y, text, size)
    y += size * 1.6
    if pen.kit.photos is not None:
        pen.image.paste(snippet(random, pen.kit.photos, (wide, wide // 2)), (0, round(y)))
        y += wide // 2 + em
    pen.body(box, y, high - em, em, justify=False)


def _editor(pen: Pen, ground: Colour) -> None:
    """A window with a title bar, menus and ragged coloured lines, as of a program."""
    random, (wide, high), em = pen.random, pen.image.size, pen.size
    bar = colour(random, 60, 230, 0.5)
    pen.draw.rectangle((0, 0, wide, em * 1.8), fill=bar)
    for i, shade in enumerate(((230, 80, 70), (230, 190, 60), (80, 190, 80))):
        pen.draw.ellipse((em * (0.5 + i), em * 0.5, em * (1.2 + i), em * 1.2), fill=shade)
    title = contrasting(random, bar)
    pen.line((em * 4, wide - em), em * 0.3, phrase(random, pen.language, 3), em, ink=title)
    y, depth, ink, number = em * 2.3, 0, pen.ink, 1
    while y < high - em * 1.5:
        pen.draw.text((em * 0.4, y), str(number), fill=(128, 128, 128), font=font(pen.plain, em))
        depth = max(0, min(5, depth + random.choice((-1, 0, 0, 1))))
        hue = colour(random, 150, 255) if brightness(ground) < 128 else colour(random, 0, 150)
        if random.random() < 0.85:
            text = pen.language.glue.join(sentence(random, pen.language, pen.face.figures)[: random.randint(1, 8)])
            pen.line((em * (2.5 + 1.5 * depth), wide - em * (0.5 + 1.5 * depth)), y, text, em, ink=random.choice((ink, hue)))
        y, number = y + em * 1.4, number + 1
