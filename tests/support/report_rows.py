"""A photo that was found to lie on its side, as a row, and reports of such."""

from orientd.records import Method, Row, Verdict
from orientd.report.csv_file import CsvReport

FOUND = Row(
    path="/photos/a.jpg",
    format="jpeg",
    width=4000,
    height=3000,
    orientation=None,
    turn=90,
    confidence=0.98765,
    probabilities=(0.00004, 0.98765, 0.01, 0.00231),
    views=8,
    decision=Verdict.FIX,
    new_orientation=6,
    method=Method.TAG,
    size=3456789,
    mtime_ns=1700000000123456789,
    sha256="ab" * 32,
)


def write(path: str, *rows: Row) -> str:
    """Writes a report; where it is then."""
    with CsvReport(path) as report:
        for row in rows:
            report.write(row)
        return report.finish()
