"""Speech engines: who speaks, which words, how clean, and the marks of synthetic speech."""

import os

# onnxruntime, beneath Silero VAD and DNSMOS, reports usage to its maker unless told not to before
# it loads. Nothing about anybody's recordings leaves the machine unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
