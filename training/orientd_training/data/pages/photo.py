"""What is around and on a drawing in a photo or a scan: background, paper, perspective, shadow, light and noise.

Pictures are RGB. A canvas is drawn at twice the size of the file, so that the reduction smooths it.
"""

from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Photos = NDArray[np.uint8]  # (N, S, S, 3), upright
Colour = tuple[int, int, int]
Size = tuple[int, int]


def colour(random: Random, low: int = 0, high: int = 255, tint: float = 1.0) -> Colour:
    """A colour whose channels lie in low–high; `tint` 0 makes it grey."""
    grey = random.randint(low, high)
    red, green, blue = (round(grey + tint * (random.randint(low, high) - grey)) for _ in range(3))
    return red, green, blue


def brightness(shade: Colour) -> float:
    return 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2]


def contrasting(random: Random, ground: Colour) -> Colour:
    """A colour that reads well on `ground`."""
    return colour(random, 0, 70) if brightness(ground) > 145 else colour(random, 215, 255)


def field(random: Random, size: Size, cells: int) -> Image.Image:
    """Soft random blotches (mode L), about `cells` across."""
    small = np.random.default_rng(random.getrandbits(32)).integers(0, 256, (cells + 1, cells + 1), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def surface(random: Random, size: Size, shade: Colour, strength: float) -> Image.Image:
    """`shade` with blotches and grain of up to `strength` (0–1)."""
    blotches = field(random, size, random.randint(2, 9))
    if random.random() < 0.4:  # the grain of wood or cloth runs along one side
        grain = field(random, (size[0], 1) if random.random() < 0.5 else (1, size[1]), random.randint(20, 60)).resize(size)
        blotches = Image.blend(blotches, grain, 0.6)
    dark: Colour = tuple(round(channel * (1 - strength)) for channel in shade)  # type: ignore[assignment]
    return ImageOps.colorize(blotches, dark, shade)


def backdrop(random: Random, photos: Photos | None, size: Size, turned: bool) -> Image.Image:
    """A crop of a photo or a plain surface; `turned` removes from a crop all that could show which way is up."""
    if photos is None or random.random() < 0.4:
        return surface(random, size, colour(random, 40, 255, random.random()), random.uniform(0.1, 0.6))
    if not turned:
        return snippet(random, photos, size)
    picture = snippet(random, photos, (400, 400)).rotate(random.choice((0, 90, 180, 270)))
    return picture.filter(ImageFilter.BoxBlur(random.uniform(2, 14))).resize(size)


def snippet(random: Random, photos: Photos, size: Size) -> Image.Image:
    """An upright crop of some photo."""
    pixels = photos[random.randrange(len(photos))]
    side = len(pixels)
    wide = round(side * random.uniform(0.5, 1))
    high = min(side, max(16, round(wide * size[1] / size[0])))
    x, y = random.randint(0, side - wide), random.randint(0, side - high)
    return Image.fromarray(pixels[y : y + high, x : x + wide]).resize(size, Image.Resampling.BICUBIC)


def lay(random: Random, sheet: Image.Image, ground: Image.Image, scale: float, slant: float) -> Image.Image:
    """`sheet` on `ground`, as seen by a camera held not quite straight; `scale` 1 makes it as large as fits.

    More than 1 is a close-up: the sheet is cut off, mostly at its end. `slant` 1 is a tilt of up to 6 degrees.
    """
    target = _quadrilateral(random, sheet.size, ground.size, scale, slant)
    warp = _perspective(target, sheet.size)
    seen = sheet.transform(ground.size, Image.Transform.PERSPECTIVE, warp, Image.Resampling.BILINEAR)
    alpha = sheet.getchannel("A") if sheet.mode == "RGBA" else Image.new("L", sheet.size, 255)
    mask = alpha.transform(ground.size, Image.Transform.PERSPECTIVE, warp, Image.Resampling.BILINEAR)
    if random.random() < 0.6:
        away, soft = random.randint(-14, 14), random.uniform(3, 12)
        shadow = ImageChops.offset(mask, away, random.randint(2, 14)).filter(ImageFilter.BoxBlur(soft))
        ground = Image.composite(Image.new("RGB", ground.size), ground, shadow.point(lambda v: v * 0.6))
    return Image.composite(seen.convert("RGB"), ground, mask)


def shoot(random: Random, canvas: Image.Image, damage: float) -> Image.Image:
    """The canvas at half its size with uneven light, blur, noise, loss of colour; `damage` (0–1) is how much of it at most."""
    image = canvas.reduce(2)
    if random.random() < 0.7 * damage:
        image = ImageChops.multiply(
            image, ImageOps.colorize(field(random, image.size, 2), colour(random, 110, 220, 0.2), "white")
        )
    if random.random() < 0.35 * damage:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.3)))
    if random.random() < 0.12:
        image = ImageOps.grayscale(image).convert("RGB")
    if random.random() < 0.06:
        image = ImageOps.invert(image)
    if random.random() < 0.5 * damage:
        noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(2, 12), (image.height, image.width, 1))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return image


def rounded(image: Image.Image, radius: int) -> Image.Image:
    """The image with transparent round corners."""
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, image.width - 1, image.height - 1), radius, 255)
    image.putalpha(mask)
    return image


def _quadrilateral(random: Random, sheet: Size, ground: Size, scale: float, slant: float) -> NDArray[np.float64]:
    """Where the corners of the sheet end up: top left, top right, bottom right, bottom left, (4, 2)."""
    fit = scale * min(ground[0] / sheet[0], ground[1] / sheet[1])
    size = np.array(sheet) * fit
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    angle = np.radians(max(-6.0, min(6.0, random.gauss(0, 2.5)))) * slant
    corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners += np.array([(random.uniform(-1, 1), random.uniform(-1, 1)) for _ in range(4)]) * size.min() * 0.04 * slant
    slack = np.array(ground) - size
    down = random.uniform(-0.5, 0.1) if slack[1] < 0 else random.uniform(-0.4, 0.4)
    across = random.uniform(-1, 1) * (0.4 if slack[0] > 0 else 0.2)
    return np.asarray(corners + np.array(ground) / 2 + slack * np.array((across, down)))


def _perspective(target: NDArray[np.float64], sheet: Size) -> tuple[float, ...]:
    """Pillow's eight coefficients: from points of the canvas back to points of the sheet."""
    source = np.array([(0, 0), (sheet[0], 0), sheet, (0, sheet[1])], float)
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    return tuple(np.linalg.solve(np.array(rows), source.ravel()).tolist())
