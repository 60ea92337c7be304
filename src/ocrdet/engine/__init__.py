"""What lives long and owns the device: it sees tensors, never images."""

import os

# Else ONNX Runtime reports its sessions to its maker, and keeps files for that. It looks once, when imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
