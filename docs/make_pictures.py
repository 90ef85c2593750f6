"""Makes the pictures of the documents: a photo before and after, and the pages of review and serve, light, dark and on a phone.

    python docs/make_pictures.py            # all of them, with chromium
    python docs/make_pictures.py --photo    # the photo alone, without
    python docs/make_pictures.py serve      # one of the two pages

The photos on them are drawn by this script. What the witnesses say of them on the review page is made up; on the page of orientd
serve it is what they say.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.review import CHROMIUM, review  # noqa: E402
from benchmarks.serving import served  # noqa: E402
from orientd.orientation import from_turn, inverse  # noqa: E402
from orientd.reasons import Reason  # noqa: E402
from orientd.records import Method, Row, Verdict  # noqa: E402
from orientd.report.csv_file import CsvReport  # noqa: E402

WIDTH, HEIGHT = 1200, 800
_ORIENTATION = 0x0112
_PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
Color = tuple[int, int, int]
Draw = ImageDraw.ImageDraw


def sky(top: Color, bottom: Color, height: int = HEIGHT) -> Image.Image:
    """A picture that goes from one color to another; below `height` it is the second."""
    column = Image.new("RGB", (1, HEIGHT))
    for y in range(HEIGHT):
        share = min(1.0, y / height)
        column.putpixel((0, y), tuple(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True)))
    return column.resize((WIDTH, HEIGHT))


def ridge(draw: Draw, chance: random.Random, base: int, rough: int, color: Color) -> None:
    points, y = [], base
    for x in range(0, WIDTH + 61, 60):
        y = max(120, min(HEIGHT - 60, y + chance.randint(-rough, rough)))
        points.append((x, y))
    draw.polygon([(0, HEIGHT), *points, (WIDTH, HEIGHT)], fill=color)


def mountains(chance: random.Random) -> Image.Image:
    image = sky((88, 146, 210), (232, 214, 196), 460)
    draw = ImageDraw.Draw(image)
    for base, rough, color in ((360, 90, (128, 146, 172)), (450, 60, (92, 116, 138)), (560, 40, (58, 92, 84))):
        ridge(draw, chance, base, rough, color)
    draw.rectangle((0, 660, WIDTH, HEIGHT), fill=(74, 122, 150))
    for _ in range(40):
        x, y = chance.randint(0, WIDTH), chance.randint(670, HEIGHT)
        draw.line((x, y, x + chance.randint(30, 140), y), fill=(142, 178, 196), width=3)
    for _ in range(9):
        x, height = chance.randint(0, WIDTH), chance.randint(90, 200)
        draw.polygon([(x - height // 4, 670), (x, 670 - height), (x + height // 4, 670)], fill=(28, 60, 48))
    return image


def sunset(chance: random.Random) -> Image.Image:
    image = sky((64, 48, 112), (250, 164, 92), 520)
    glow = Image.new("RGB", image.size)
    x = chance.randint(300, 900)
    ImageDraw.Draw(glow).ellipse((x - 210, 260, x + 210, 680), fill=(110, 70, 20))
    image = Image.composite(
        Image.new("RGB", image.size, (255, 206, 120)), image, glow.filter(ImageFilter.GaussianBlur(90)).convert("L")
    )
    draw = ImageDraw.Draw(image)
    draw.ellipse((x - 60, 410, x + 60, 530), fill=(255, 232, 170))
    draw.rectangle((0, 520, WIDTH, HEIGHT), fill=(48, 54, 96))
    for y in range(526, HEIGHT, 9):
        spread = 40 + (y - 520) // 2
        for _ in range(3):
            start = x + chance.randint(-spread, spread)
            draw.line((start, y, start + chance.randint(20, 90), y), fill=(238, 168, 110), width=4)
    boat = chance.randint(120, 1000)
    draw.polygon([(boat, 545), (boat + 150, 545), (boat + 120, 585), (boat + 25, 585)], fill=(28, 24, 44))
    draw.polygon([(boat + 70, 535), (boat + 70, 340), (boat + 165, 525)], fill=(240, 226, 214))
    draw.polygon([(boat + 60, 530), (boat + 60, 390), (boat + 5, 525)], fill=(214, 190, 184))
    return image


def village(chance: random.Random) -> Image.Image:
    image = sky((120, 178, 230), (226, 238, 244), 500)
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = chance.randint(0, WIDTH), chance.randint(60, 220)
        for _ in range(6):
            cx, cy, r = x + chance.randint(-90, 90), y + chance.randint(-18, 18), chance.randint(26, 56)
            draw.ellipse((cx - r, cy - r // 2, cx + r, cy + r // 2), fill=(250, 252, 254))
    ridge(draw, chance, 480, 30, (140, 172, 104))
    x = 20
    while x < WIDTH - 120:
        wide, tall = chance.randint(130, 220), chance.randint(150, 280)
        wall = chance.choice([(238, 222, 196), (226, 196, 164), (244, 238, 226), (206, 214, 222)])
        draw.rectangle((x, 640 - tall, x + wide, 640), fill=wall)
        draw.polygon([(x - 16, 640 - tall), (x + wide // 2, 550 - tall), (x + wide + 16, 640 - tall)], fill=(164, 74, 56))
        for wx in range(x + 22, x + wide - 40, 56):
            for wy in range(664 - tall, 560, 76):
                draw.rectangle((wx, wy, wx + 30, wy + 42), fill=(84, 110, 136), outline=(250, 250, 246), width=4)
        draw.rectangle((x + wide // 2 - 20, 574, x + wide // 2 + 20, 640), fill=(104, 70, 52))
        x += wide + chance.randint(14, 60)
    draw.rectangle((0, 640, WIDTH, HEIGHT), fill=(178, 172, 164))
    draw.polygon([(420, HEIGHT), (560, 640), (640, 640), (780, HEIGHT)], fill=(150, 144, 138))
    return image


def forest(chance: random.Random) -> Image.Image:
    image = sky((206, 224, 220), (236, 236, 206), 520)
    draw = ImageDraw.Draw(image)
    for layer, color in enumerate(((150, 182, 156), (98, 142, 106), (52, 98, 66))):
        for _ in range(13 + 2 * layer):
            x, height, foot = chance.randint(-40, WIDTH + 40), chance.randint(280, 420) + 60 * layer, 560 + 70 * layer
            for step in range(4):
                half, top = (height // 7) * (step + 2) // 2, foot - height + step * height // 5
                draw.polygon([(x - half, top + height // 3), (x, top), (x + half, top + height // 3)], fill=color)
            draw.rectangle((x - 7, foot - height // 6, x + 7, foot), fill=(92, 70, 54))
    draw.polygon([(0, 660), (WIDTH, 690), (WIDTH, HEIGHT), (0, HEIGHT)], fill=(122, 138, 82))
    draw.polygon([(330, HEIGHT), (560, 672), (640, 674), (860, HEIGHT)], fill=(206, 186, 148))
    return image


def beach(chance: random.Random) -> Image.Image:
    image = sky((70, 156, 224), (196, 230, 242), 330)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 330, WIDTH, 620), fill=(42, 142, 170))
    for _ in range(36):
        x, y = chance.randint(0, WIDTH), chance.randint(340, 530)
        draw.line((x, y, x + chance.randint(20, 90), y), fill=(150, 214, 222), width=3)
    ridge(draw, chance, 540, 10, (238, 214, 160))
    x = chance.randint(250, 900)
    draw.line((x, 380, x + 20, 700), fill=(250, 246, 238), width=10)
    for part in range(6):
        color = (222, 74, 66) if part % 2 else (250, 246, 238)
        draw.pieslice((x - 190, 290, x + 190, 530), 180 + 30 * part, 210 + 30 * part, fill=color)
    draw.rounded_rectangle((x - 170, 690, x + 10, 730), 12, fill=(80, 130, 190))
    draw.ellipse((x + 110, 670, x + 180, 740), fill=(246, 196, 70), outline=(214, 90, 60), width=8)
    return image


def portrait(chance: random.Random) -> Image.Image:
    image = sky((196, 206, 196), (150, 170, 150), 700)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, r = chance.randint(0, WIDTH), chance.randint(0, 620), chance.randint(16, 60)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=chance.choice([(132, 164, 120), (168, 190, 150), (196, 208, 164)]))
    image = image.filter(ImageFilter.GaussianBlur(18))
    draw = ImageDraw.Draw(image)
    for x, shirt, hair in ((430, (196, 84, 72), (74, 50, 38)), (760, (70, 104, 156), (196, 154, 92))):
        draw.rounded_rectangle((x - 150, 570, x + 150, 900), 90, fill=shirt)
        draw.rectangle((x - 38, 500, x + 38, 600), fill=(222, 178, 150))
        draw.ellipse((x - 128, 240, x + 128, 540), fill=hair)
        draw.ellipse((x - 105, 280, x + 105, 545), fill=(236, 196, 168))
        for eye in (x - 42, x + 42):
            draw.ellipse((eye - 12, 388, eye + 12, 412), fill=(48, 40, 40))
        draw.arc((x - 48, 425, x + 48, 495), 20, 160, fill=(160, 72, 66), width=8)
    return image


SCENES: Sequence[tuple[str, Callable[[random.Random], Image.Image]]] = (
    ("2019/Lake", mountains),
    ("2021/Summer", beach),
    ("2021/Summer", sunset),
    ("2019/Lake", forest),
    ("2022/Village", village),
    ("2022/Village", portrait),
)


def photo(scene: Callable[[random.Random], Image.Image], seed: int, turn: int) -> bytes:
    """A drawn photo that must be turned by so many degrees clockwise to be shown upright."""
    image = scene(random.Random(seed)).filter(ImageFilter.GaussianBlur(0.8))
    exif, buffer = Image.Exif(), BytesIO()
    exif[_ORIENTATION] = inverse(from_turn(turn))
    image.save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def make_plan(folder: Path) -> Path:
    """A plan of 24 drawn photos, 18 of them to be looked at."""
    with CsvReport(str(folder / "plan.csv")) as report:
        for number in range(24):
            place, scene = SCENES[number % len(SCENES)]
            turn = (90, 270, 90, 180, 270, 90)[(number + number // 6) % 6]
            path = folder / "photos" / place / f"IMG_{2041 + 37 * number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data := photo(scene, number, turn))
            report.write(_row(path, data, number, turn))
        return Path(report.finish())


def _row(path: Path, data: bytes, number: int, turn: int) -> Row:
    decision = Verdict.FIX if number < 12 else Verdict.UNSURE if number < 18 else Verdict.KEEP
    sure = (0.78, 0.86, 0.91, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.996, 0.999)[number % 12]
    best = sure if decision is Verdict.FIX else 0.62 - 0.05 * (number % 12)
    rest = (1 - best) / 3
    said = f"scene {turn} +{1 + 2.4 * best:.1f}; scene-288 {turn} +{best:.1f}; things {turn} +{3 * best - 1.4:.1f}"
    return Row(
        str(path),
        "jpeg",
        WIDTH,
        HEIGHT,
        inverse(from_turn(turn)),
        turn,
        best,
        tuple(best if turn == one else rest for one in (0, 90, 180, 270)),
        8,
        decision,
        1 if decision is Verdict.FIX else None,
        Method.TAG if decision is Verdict.FIX else None,
        reason="views disagree: 6 of 8 say so, 8 must" if decision is Verdict.UNSURE else "",
        size=len(data),
        mtime_ns=1_560_000_000_000_000_000 + number * 40_000_000_000_000,
        sha256=sha256(data).hexdigest(),
        reason_code=Reason.VIEWS_DISAGREE if decision is Verdict.UNSURE else None,
        evidence=said,
    )


def before_and_after(out: Path) -> None:
    """A drawn photo as it is displayed before, lying on its side, and after."""
    upright = village(random.Random(12)).filter(ImageFilter.GaussianBlur(0.8)).resize((480, 320), Image.Resampling.LANCZOS)
    both = Image.new("RGBA", (940, 480))
    both.paste(upright.rotate(90, expand=True), (0, 0))
    both.paste(upright, (460, 80))
    draw = ImageDraw.Draw(both)
    draw.line((345, 240, 425, 240), fill=(120, 130, 140), width=8)
    draw.polygon([(415, 218), (445, 240), (415, 262)], fill=(120, 130, 140))
    both.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out / "before-after.png", optimize=True)


def review_pages(browser: "object", folder: Path, out: Path) -> None:
    plan = make_plan(folder)
    with review(plan, folder / "state") as address:

        def opened(**context: object) -> "object":
            page = browser.new_context(**{"viewport": {"width": 1280, "height": 820}, **context}).new_page()
            page.goto(address)
            page.wait_for_selector(":nth-match(.frame img.there, 2)")
            page.wait_for_timeout(700)
            return page

        page = opened(color_scheme="light")
        for key in ("a", "a", "k", "a"):
            page.keyboard.press(key)
        page.wait_for_timeout(500)
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(900)
        page.screenshot(path=out / "review-light.png")
        page.keyboard.press("Enter")
        page.wait_for_timeout(900)
        page.screenshot(path=out / "review-large.png")
        opened(color_scheme="dark").screenshot(path=out / "review-dark.png")
        opened(**_PHONE).screenshot(path=out / "review-phone.png")


def serve_pages(browser: "object", folder: Path, out: Path) -> None:
    """The portraits first, of which most networks have something to say, and a file that is cut short."""
    paths = []
    for number, (place, turn) in enumerate(((5, 90), (4, 180), (2, 0), (0, 270))):
        paths.append(folder / f"IMG_{2041 + 37 * number}.jpg")
        paths[-1].write_bytes(photo(SCENES[place][1], place, turn))
    paths[-1].write_bytes(paths[-1].read_bytes()[:30_000])
    with served() as (_, port):

        def opened(path: str = "", **context: object) -> "object":
            page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}).new_page()
            page.goto(f"http://127.0.0.1:{port}/{path}")
            return page

        def given(**context: object) -> "object":
            page = opened(**context)
            page.set_input_files("#files", paths)
            page.wait_for_selector("#live:not(:empty)", state="attached")
            page.wait_for_timeout(900)
            return page

        given(color_scheme="light").screenshot(path=out / "serve-light.png")
        given(color_scheme="dark").screenshot(path=out / "serve-dark.png")
        given(**_PHONE).screenshot(path=out / "serve-phone.png")
        page = opened("docs", viewport={"width": 900, "height": 1000})
        page.wait_for_selector("[data-ready]")
        page.screenshot(path=out / "serve-docs.png")


PAGES = {"review": review_pages, "serve": serve_pages}


def main(names: Sequence[str], out: Path = ROOT / "docs") -> None:
    """Those of the pages named; all, and the photo, without any."""
    if not names or "--photo" in names:
        before_and_after(out)
    if "--photo" in names:
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in names or PAGES:
            (folder := Path(place, name)).mkdir()
            PAGES[name](browser, folder, out)
            for path in sorted(out.glob(f"{name}-*.png")):
                _shrink(path)
                print(f"{path.stat().st_size:9,}  {path}")
        browser.close()


def _shrink(path: Path) -> None:
    """256 colors suffice for a picture of a page."""
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
