"""JPEGs of every kind of frame: lossless ones drawn by an encoder of its own, the others by what is in their headers."""

import numpy as np

KINDS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_CODE_LENGTH, _CATEGORIES = 5, 17


def segment(marker, payload=b""):
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def frame(marker, width, height, factors=(0x11, 0x11, 0x11), bits=8):
    """A frame header (ITU-T T.81, B.2.2) with the sampling factors of each component in one byte."""
    components = b"".join(bytes((number, both, 0)) for number, both in enumerate(factors, 1))
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return segment(marker, bytes((bits,)) + sides + bytes((len(factors),)) + components)


def lossless(samples, bits=8):
    """A lossless JPEG (SOF3, annex H) of samples of shape (height, width, channels), each predicted by its left neighbor."""
    height, width, channels = samples.shape
    codes = segment(0xC4, bytes((0, 0, 0, 0, 0, _CATEGORIES, *[0] * 11, *range(_CATEGORIES))))
    names = b"".join(bytes((number, 0)) for number in range(1, channels + 1))
    scan = segment(0xDA, bytes((channels,)) + names + bytes((1, 0, 0)))
    header = frame(0xC3, width, height, [0x11] * channels, bits)
    return b"\xff\xd8" + header + codes + scan + _coded(samples, bits) + b"\xff\xd9"


def _coded(samples, bits):
    predicted = np.empty(samples.shape, np.int64)
    predicted[:, 1:] = samples[:, :-1]
    predicted[1:, 0] = samples[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    text = "".join(map(_code, (samples.astype(np.int64) - predicted).ravel().tolist()))
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _code(difference):
    category = abs(difference).bit_length()
    extra = difference if difference > 0 else difference + (1 << category) - 1
    return f"{category:0{_CODE_LENGTH}b}" + (f"{extra:0{category}b}" if category else "")
