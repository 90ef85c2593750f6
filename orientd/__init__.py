"""orientd finds photos that are shown sideways or upside down and puts them right."""

import os

__version__ = "0.1.0"

# From 1.29 on ONNX Runtime tells Microsoft of every model that is loaded, unless this is set before it is; orientd tells nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
