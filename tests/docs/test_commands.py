"""The commands of the documentation are run, word by word, against a live gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_docs import blocks, read
from tests.support.live import Live

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the commands use curl")

MODEL = "smollm2-135m-instruct"
MARK = "\n@@@\n"


def adapted(text: str, live: Live) -> str:
    """Return a code block with the local model and the example provider replaced by the test's fakes."""
    for written, here in (
        ("http://127.0.0.1:8080", live.url),
        (MODEL, "fake-echo"),
        ("https://api.openai.com/v1", live.upstream.base_url),
        ("https://llm.example.edu/v1", live.upstream.base_url),
        ("sk-REPLACE-ME", live.upstream.api_key),
    ):
        text = text.replace(written, here)
    return text


def first_run(live: Live, directory: Path) -> None:
    """Write what a first start writes."""
    (directory / ".deepspace").mkdir()
    names = ("admin_email", "admin_password", "api_key", "organization_id", "project_id")
    text = json.dumps({"url": live.url} | {name: getattr(live, name) for name in names})
    (directory / ".deepspace" / "first-run.json").write_text(text)


def run(live: Live, commands: list[str], directory: Path, **variables: str) -> list[str]:
    """Run commands in one shell and return what each printed."""
    script = "set -euo pipefail\n" + f"\nprintf '{MARK}'\n".join(adapted(text, live) for text in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env={**os.environ, "NO_PROXY": "*", "no_proxy": "*", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [part.strip() for part in done.stdout.split(MARK)]


def shell(page: str) -> list[str]:
    """Return the shell blocks of a page that speak to a running platform."""
    return [
        body for language, body in blocks(read(page)) if language == "sh" and not body.startswith("make ")
    ]


def test_the_commands_of_the_readme_work(live: Live, tmp_path: Path) -> None:
    first_run(live, tmp_path)
    trace_id = live.chat("fake-echo", "hello").headers["x-trace-id"]
    _, whole, stream, trace, _, channel, price = run(live, shell("README.md"), tmp_path, TRACE_ID=trace_id)
    assert json.loads(whole)["usage"]["cost"]
    assert stream.endswith("data: [DONE]")
    assert '"cost":' in stream
    assert json.loads(trace)["state"] == "captured"
    assert json.loads(channel)["has_api_key"] is True
    assert json.loads(price)["model"] == "gpt-5-mini"
    assert live.chat("gpt-5-mini", "hello").status_code == 200


def test_the_program_of_the_readme_works(live: Live, tmp_path: Path) -> None:
    first_run(live, tmp_path)
    program = next(body for language, body in blocks(read("README.md")) if language == "python")
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    command = [sys.executable, "-c", adapted(program, live)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("Say hello. 0.0000")
    assert "\ncost: 0.0000" in done.stdout


def test_the_commands_for_a_provider_work(live: Live, tmp_path: Path) -> None:
    create, *others = shell("docs/howto/add-a-provider.md")
    token = live.operator_token()
    (channel,) = run(live, [create], tmp_path, TOKEN=token)
    channel_id = json.loads(channel)["id"]
    tested, price, disabled = run(live, others, tmp_path, TOKEN=token, CHANNEL_ID=channel_id)
    assert json.loads(tested) == {"ok": True, "model": "qwen3", "status": 200}
    assert json.loads(price)["tiers"][0]["from_input_tokens"] == 65536
    assert json.loads(disabled)["status"] == "disabled"
