"""Pages of text, drawn by Pillow's own font, turned as scanners and people turn them; and small PDFs of them."""

from io import BytesIO

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw, ImageFont

TEXT = (
    "The parties agree that each of them shall keep secret what the other tells of its business and plans, unless it was known "
    "before, is known to all, or must be told by law. This holds for three years from the day on which both have signed below."
)
WORDS = TEXT.split()
PAPER = 245


def page(lines: int = 30, size: int = 22, seed: int = 0) -> Image.Image:
    """An upright page of so many lines, 850 × 1,100 gray levels."""
    image = Image.new("L", (848, 1104), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    random = np.random.default_rng(seed)
    for line in range(lines):
        text = " ".join(random.choice(WORDS, 9 if (line + 1) % 6 else 4))
        draw.text((90, 90 + line * int(size * 1.4)), text, fill=20, font=font)
    return image


def lying(image: Image.Image, needs: float) -> Image.Image:
    """The page such that it needs a turn of `needs` degrees clockwise."""
    if needs % 90 == 0:
        return image.rotate(needs, expand=True)
    return image.rotate(needs, Image.Resampling.BICUBIC, expand=True, fillcolor=PAPER)


def levels(image: Image.Image) -> np.ndarray:
    """Its gray levels as they are judged."""
    image = image.convert("L")
    image.thumbnail((1024, 1024), Image.Resampling.BILINEAR)
    return np.asarray(image)


def jpeg(image: Image.Image, **options: object) -> bytes:
    image.save(out := BytesIO(), "JPEG", **({"quality": 90} | options))
    return out.getvalue()


def scanned_pdf(*images: Image.Image) -> bytes:
    """A PDF whose pages are JPEGs and nothing else."""
    document = pypdfium2.PdfDocument.new()
    for image in images:
        width, height = (side * 0.72 for side in image.size)
        sheet, picture = document.new_page(width, height), pypdfium2.PdfImage.new(document)
        picture.load_jpeg(BytesIO(jpeg(image.convert("RGB"))), inline=True)
        picture.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
        sheet.insert_obj(picture)
        sheet.gen_content()
        sheet.close()
    document.save(out := BytesIO())
    document.close()
    return out.getvalue()


def shared_contents_pdf(image: Image.Image) -> bytes:
    """A PDF of two pages that show the same picture, by the same indirect array of content streams."""
    levels = image.convert("L").resize((212, 276))
    sheet = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /XObject << /I 7 0 R >> >> >>"
    content, pixels = "q 612 0 0 792 0 0 cm /I Do Q", levels.tobytes().hex() + ">"
    told = "/Type /XObject /Subtype /Image /Width 212 /Height 276 /ColorSpace /DeviceGray /BitsPerComponent 8"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Count 2 /Kids [3 0 R 4 0 R] >>",
        sheet,
        sheet,
        "[6 0 R]",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        f"<< {told} /Filter /ASCIIHexDecode /Length {len(pixels)} >>\nstream\n{pixels}\nendstream",
    ]
    return _file(objects, f"/Size {len(objects) + 1} /Root 1 0 R")


def text_pdf(*pages: tuple[int, str], pages_of: int = 1, encrypted: bool = False) -> bytes:
    """A PDF with text of its own: of each page `/Rotate` and the matrix of its text, as in "1 0 0 1"; `pages_of` times over."""
    kids = [f"{4 + 2 * number} 0 R" for number in range(len(pages) * pages_of)]
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for rotate, matrix in pages * pages_of:
        lines = " ".join(f"({' '.join(WORDS[start : start + 8])}) Tj 0 -16 Td" for start in range(0, 40, 8))
        content = f"BT /F1 12 Tf {matrix} 300 400 Tm {lines} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate {rotate} /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R"
    if encrypted:
        trailer += f" /ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'11' * 32}> /U <{'22' * 32}> >>"
    return _file(objects, trailer)


def boxed_pdf(inherited: str = "", own: str = "") -> bytes:
    """A PDF of one page with a black square from 700, 1,000 to 800, 1,100, whose boxes the page has or inherits."""
    content = "700 1000 100 100 re f"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count 1 /Kids [3 0 R] {inherited} >>",
        f"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << >> {own} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    ]
    return _file(objects, f"/Size {len(objects) + 1} /Root 1 0 R")


def _file(objects: list[str], trailer: str) -> bytes:
    out, places = b"%PDF-1.4\n", []
    parts = []
    length = len(out)
    for number, text in enumerate(objects, 1):
        part = f"{number} 0 obj\n{text}\nendobj\n".encode()
        places.append(length)
        parts.append(part)
        length += len(part)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << {trailer} >>\nstartxref\n{length}\n%%EOF"
    return out + b"".join(parts) + end.encode()
