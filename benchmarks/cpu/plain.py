"""The plain way to do it: whole decoding by Pillow, EfficientNetV2-S at 384 px in fp32, one photo at a time, one thread.

    python -m benchmarks.cpu.plain FOLDER… --photos 8

The architecture is that of the best-known published model for the task; its weights are drawn by chance, which takes the same
time. Needs torch, timm and the exporter to ONNX (`pip install ".[train]"`), and ends with 2 without them.
"""

import argparse
import json
import sys
import time
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

SIDE = 384
_MEAN, _STD = (np.array(each, np.float32) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def exported(folder: Path) -> Path:
    """EfficientNetV2-S with four classes as an ONNX file."""
    import timm
    import torch

    network, path = timm.create_model("tf_efficientnetv2_s", pretrained=False, num_classes=4).eval(), folder / "plain.onnx"
    with torch.inference_mode():
        torch.onnx.export(network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=True, external_data=False, verbose=False)
    return path


def session(path: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def judged(path: Path, model: Any) -> tuple[float, float, float]:
    """Milliseconds of processor time: decoding, squeezing and normalising, looking."""
    times = [time.process_time()]
    image = Image.open(BytesIO(path.read_bytes())).convert("RGB")
    times.append(time.process_time())
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    planes = np.ascontiguousarray(((pixels - _MEAN) / _STD).transpose(2, 0, 1)[None])
    times.append(time.process_time())
    model.run(None, {model.get_inputs()[0].name: planes})
    times.append(time.process_time())
    decode, squeeze, look = (1000 * (after - before) for before, after in pairwise(times))
    return decode, squeeze, look


def measure(folder: Path, number: int, model: Any) -> dict[str, float]:
    """Milliseconds a photo, medians over photos, the first of which only warms up."""
    runs = [judged(path, model) for path in sorted(folder.glob("*.jpg"))[: number + 1]][1:]
    decode, squeeze, look = (round(median(run[i] for run in runs), 1) for i in range(3))
    return {"decode": decode, "resize": squeeze, "look": look, "total": round(decode + squeeze + look, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=8)
    options = parser.parse_args()
    try:
        import onnxscript  # noqa: F401
        import timm  # noqa: F401
    except ImportError as error:
        print(f'{error.name} is missing: pip install ".[train]"', file=sys.stderr)
        sys.exit(2)
    with TemporaryDirectory() as folder:
        model = session(exported(Path(folder)))
    print(json.dumps({folder.name: measure(folder, options.photos, model) for folder in options.folders}, indent=1))


if __name__ == "__main__":
    main()
