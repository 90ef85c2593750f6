"""The markers of a JPEG (ITU-T T.81, table B.1), as the byte after 0xFF; SOI and EOI, which bound a picture, with both."""

import re
from typing import Final

SOI: Final = b"\xff\xd8"
EOI: Final = b"\xff\xd9"

BASELINE, EXTENDED, PROGRESSIVE, LOSSLESS = range(0xC0, 0xC4)
DHT, JPG, LOSSLESS_ARITHMETIC, DAC = 0xC4, 0xC8, 0xCB, 0xCC
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {DHT, JPG, DAC}
SOS, DQT, DRI, DHP, EXP = 0xDA, 0xDB, 0xDD, 0xDE, 0xDF
APP0, APP1, APP2 = 0xE0, 0xE1, 0xE2
APP11, APP12, APP13, APP14 = range(0xEB, 0xEF)
APP: Final = range(0xE0, 0xF0)
COM: Final = 0xFE

AFTER_SCAN: Final = re.compile(rb"\xff([^\0\xd0-\xd7\xff])")  # all that can end the data of a scan
