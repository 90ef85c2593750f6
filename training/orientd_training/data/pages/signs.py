"""Signs, labels, posters, captions and number plates: a few large words on something."""

from random import Random

from PIL import Image, ImageDraw

from orientd_training.data.pages.pen import Kit, Pen
from orientd_training.data.pages.photo import backdrop, brightness, colour, contrasting, lay, rounded, shoot, snippet, surface
from orientd_training.data.pages.words import contact, phrase, plate, price, shout


def sign(random: Random, kit: Kit) -> Image.Image:
    """An upright picture with one of them in it, now and then two."""
    short = random.randint(512, 768)
    aspect = random.choice((0.75, 1.333, 1.333, 1.5, 0.667, 1.0, 1.778, 0.5625))
    size = (short, round(short / aspect)) if aspect < 1 else (round(short * aspect), short)
    canvas = backdrop(random, kit.photos, size, turned=False)
    if random.random() < 0.25:
        return shoot(random, _captioned(random, kit, canvas), 0.7)
    if random.random() < 0.2:
        poster = _poster(random, kit, size)
        return shoot(random, lay(random, poster, canvas, random.uniform(0.85, 1.1), random.uniform(0, 1)), 1)
    for _ in range(random.choice((1, 1, 1, 2))):
        panel = _plate(random, kit) if random.random() < 0.1 else _panel(random, kit)
        canvas = lay(random, panel, canvas, random.uniform(0.5, 1.05), 1)
    return shoot(random, canvas, 1)


def _panel(random: Random, kit: Kit) -> Image.Image:
    """A board with one to four lines, each as large as fits."""
    ground = colour(random)
    rows, em = random.choice((1, 1, 2, 2, 3, 4)), random.randint(90, 150)
    wide = random.randint(420, 800) if rows > 1 else random.randint(320, 700)
    board = surface(random, (wide, round(rows * em * 1.3 + 60)), ground, random.uniform(0, 0.3))
    pen = Pen(random, kit, board, contrasting(random, ground), em)
    align, box = random.choice((0, 0.5, 0.5, 0.5)), (30.0, wide - 30.0)
    y = 25.0
    for row in range(rows):
        extra = row > 0 and random.random() < 0.25
        text = random.choice((price, contact))(random) if extra else shout(random, pen.language, random.choice((1, 2, 2, 3)))
        face = pen.plain if extra else None
        size = pen.fitting(text, box[1] - box[0], em if row == 0 else random.choice((em, em // 2)), face)
        pen.line(box, y, text, size, align, face)
        y += size * 1.35
    board = board.crop((0, 0, wide, min(board.height, round(y + 25))))
    if random.random() < 0.4:
        edge = random.randint(6, 14)
        ImageDraw.Draw(board).rectangle(
            (edge, edge, wide - edge, board.height - edge), outline=pen.ink, width=random.randint(3, 10)
        )
    return rounded(board, random.randint(8, 50)) if random.random() < 0.5 else board


def _plate(random: Random, kit: Kit) -> Image.Image:
    ground = random.choice(((250, 250, 250), (240, 200, 40), (30, 30, 30), (40, 70, 150)))
    board = surface(random, (640, 150), ground, 0.1)
    pen = Pen(random, kit, board, contrasting(random, ground), 110)
    text = plate(random)
    pen.line((40, 600), 10, text, pen.fitting(text, 560, 110, pen.plain), 0.5, pen.plain)
    return rounded(board, 16)


def _captioned(random: Random, kit: Kit, canvas: Image.Image) -> Image.Image:
    """Words directly on the picture, outlined so that they can be read: subtitles, greetings, watermarks."""
    pen = Pen(random, kit, canvas, colour(random, 200, 255) if random.random() < 0.7 else colour(random, 0, 60), 40)
    edge = (0, 0, 0) if brightness(pen.ink) > 128 else (255, 255, 255)
    box, rows = (20.0, canvas.width - 20.0), random.randint(1, 3)
    most = round(min(canvas.size) * random.uniform(0.1, 0.25))
    lines = [phrase(random, pen.language, 3) for _ in range(rows)]
    sizes = [pen.fitting(text, box[1] - box[0], most) for text in lines]
    y = random.choice((0.03, 0.5, 0.97)) * (canvas.height - sum(sizes) * 1.4)
    for text, size in zip(lines, sizes, strict=True):
        pen.line(box, y, text, size, 0.5, edge=edge)
        y += size * 1.4
    return canvas


def _poster(random: Random, kit: Kit, size: tuple[int, int]) -> Image.Image:
    """A title, a picture or some lines, and where to ask."""
    wide, high = size
    ground = colour(random)
    sheet = surface(random, size, ground, random.uniform(0, 0.3))
    pen = Pen(random, kit, sheet, contrasting(random, ground), high // 8)
    box, y = (wide * 0.06, wide * 0.94), high * 0.05
    for _ in range(random.randint(1, 3)):
        text = shout(random, pen.language, 2)
        em = pen.fitting(text, box[1] - box[0], high // 6)
        pen.line(box, y, text, em, random.choice((0, 0.5)))
        y += em * 1.35
    if kit.photos is not None and y < high * 0.6 and random.random() < 0.7:
        frame = (round(wide * 0.88), round(high * 0.85 - y))
        sheet.paste(snippet(random, kit.photos, frame), (round(box[0]), round(y)))
    else:
        pen.body(box, y, high * 0.85, max(12, high // 20), justify=False, most=2)
    text = contact(random)
    pen.line(box, high * 0.88, text, pen.fitting(text, box[1] - box[0], high // 18, pen.plain), 0.5, pen.plain)
    return sheet
