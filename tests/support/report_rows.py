"""A photo that was found to lie on its side, as a row, and reports of such."""

from orientd.records import Row
from orientd.report.csv_file import CsvReport

FOUND = Row(
    path="/photos/a.jpg",
    format="jpeg",
    width=4000,
    height=3000,
    orientation=None,
    turn=90,
    confidence=0.98765,
    p0=0.00004,
    p90=0.98765,
    p180=0.01,
    p270=0.00231,
    views=8,
    decision="fix",
    new_orientation=6,
    method="tag",
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
