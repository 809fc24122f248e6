"""`deepspace up` as a person runs it: first start, chats with the local model, deaths, restarts, mistakes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from deepspace.upstream import local_embeddings, local_model
from tests.support.live import as_
from tests.support.up import Up, deepspace, free_port, gone, wait

pytestmark = pytest.mark.skipif(not local_model.is_installed(), reason="the extra `local` is not installed")

MODEL = local_model.MODEL
RATES = {"input": Decimal("0.05e-6"), "output": Decimal("0.2e-6")}


@pytest.fixture(scope="module")
def first_banner(up: Up) -> str:
    """What the first start printed."""
    return up.output.with_suffix(".first").read_text()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One installation for the module; a test that stops it starts it again."""
    directory = tmp_path_factory.mktemp("up")
    found = Up(directory / "data", free_port(), directory / "output")
    try:
        found.output.with_suffix(".first").write_text(found.start())
        yield found
    finally:
        found.stop()


@pytest.fixture
def sdk(up: Up) -> Iterator[openai.OpenAI]:
    """The official client with the printed key."""
    key = up.first_run["api_key"]
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key=key, max_retries=0, timeout=30) as client:
        yield client


def test_the_first_start_prints_credentials_and_keeps_them_for_the_owner_alone(
    up: Up, first_banner: str
) -> None:
    file = up.data_dir / "first-run.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = up.first_run
    assert list(written) == [
        "url",
        "admin_email",
        "admin_password",
        "api_key",
        "organization_id",
        "project_id",
    ]
    assert written["url"] == up.url
    for name in ("url", "admin_email", "admin_password", "api_key"):
        assert written[name] in first_banner
    assert stat.S_IMODE((up.data_dir / "secret-key").stat().st_mode) == 0o600


def test_the_printed_password_and_key_work(up: Up) -> None:
    body = {"email": up.first_run["admin_email"], "password": up.first_run["admin_password"]}
    response = httpx2.post(f"{up.url}/api/auth/login", json=body, trust_env=False)
    assert response.status_code == 200, response.text
    assert response.json()["user"]["is_operator"] is True
    me = up.get("/api/me").json()
    assert me["organizations"][0]["id"] == up.first_run["organization_id"]
    assert me["organizations"][0]["projects"][0]["id"] == up.first_run["project_id"]


def test_the_local_model_answers_and_the_wallet_goes_down_by_exactly_the_cost(
    up: Up, sdk: openai.OpenAI
) -> None:
    before = up.balance()
    answer = sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "What is the capital of France?"}], max_tokens=12
    )
    assert answer.choices[0].message.content
    assert any(letter.isalpha() for letter in answer.choices[0].message.content)
    usage = answer.usage
    assert usage is not None
    assert 0 < usage.completion_tokens <= 12
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    assert usage.prompt_tokens > (cached or 0)
    expected = usage.prompt_tokens * RATES["input"] + usage.completion_tokens * RATES["output"]
    # Rounded up to a nano once; these rates are whole nanos only in sums.
    expected = expected.quantize(Decimal("1e-9"), "ROUND_CEILING")
    assert Decimal(usage.cost) == expected == before - up.balance()


def test_the_local_model_answers_a_client_of_anthropics(up: Up) -> None:
    before = up.balance()
    key = up.first_run["api_key"]
    with (
        anthropic.Anthropic(base_url=up.url, api_key=key, max_retries=0) as client,
        client.messages.stream(
            model=MODEL,
            max_tokens=12,
            messages=[{"role": "user", "content": "What is the capital of France?"}],
        ) as stream,
    ):
        costs = [event.usage.cost for event in stream if event.type == "message_delta"]
        message = stream.get_final_message()
    assert message.content[0].type == "text"
    assert any(letter.isalpha() for letter in message.content[0].text)
    assert 0 < message.usage.output_tokens <= 12
    assert Decimal(costs[-1]) == before - up.balance() > 0


def test_the_local_model_answers_as_a_response_and_as_a_completion(up: Up, sdk: openai.OpenAI) -> None:
    before = up.balance()
    with sdk.responses.stream(model=MODEL, input="Count to five.", max_output_tokens=12) as stream:
        told = [event.delta for event in stream if event.type == "response.output_text.delta"]
    response = sdk.responses.create(model=MODEL, input="Count to five.", max_output_tokens=12)
    completion = sdk.completions.create(model=MODEL, prompt="Count to five.", max_tokens=12)
    assert len(told) > 3
    assert response.output_text
    assert completion.choices[0].text
    assert response.usage is not None
    assert completion.usage is not None
    assert 0 < response.usage.output_tokens <= 12
    spent = Decimal(response.usage.cost) + Decimal(completion.usage.cost)
    assert before - up.balance() > spent > 0


def test_the_local_model_streams_and_the_trace_tells_the_story(up: Up, sdk: openai.OpenAI) -> None:
    before = up.balance()
    raw = sdk.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me a long story about the sea."}],
        max_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(raw.parse())
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len([word for word in words if word]) > 3  # token by token, not at once
    assert chunks[-1].usage is not None
    assert Decimal(chunks[-1].usage.cost) == before - up.balance() > 0
    story = up.get(f"/api/traces/{raw.headers['x-trace-id']}").json()
    assert story["state"] == "captured"
    assert story["attempts"][0]["channel_name"] == "local"
    assert [entry["type"] for entry in story["transactions"]] == ["hold", "capture"]
    assert story["cost"] == chunks[-1].usage.cost


@pytest.mark.skipif(
    not local_embeddings.is_installed(), reason="the embedding model is not for this platform"
)
def test_the_local_embeddings_know_a_translation_from_a_stranger(up: Up, sdk: openai.OpenAI) -> None:
    texts = [
        "The cat sleeps on the sofa.",
        "猫在沙发上睡觉。",
        "The central bank raised rates.",
        "央行提高了利率。",
    ]
    before = up.balance()
    answer = sdk.embeddings.create(model=local_embeddings.MODEL, input=texts)
    vectors = [item.embedding for item in answer.data]
    assert [len(vector) for vector in vectors] == [384] * 4
    cat, katze, bank, central = vectors  # English and Chinese of the one and of the other
    pairs = [cosine(cat, katze), cosine(bank, central)]
    strangers = [cosine(one, other) for one in (cat, katze) for other in (bank, central)]
    assert min(pairs) > max(strangers)
    assert [cosine(vector, vector) for vector in vectors] == [pytest.approx(1, abs=1e-5)] * 4
    cost = answer.usage.prompt_tokens * Decimal("0.02e-6")
    assert answer.usage.prompt_tokens > 20
    assert (
        Decimal(answer.usage.cost) == cost.quantize(Decimal("1e-9"), "ROUND_CEILING") == before - up.balance()
    )


@pytest.mark.skipif(
    not local_embeddings.is_installed(), reason="the embedding model is not for this platform"
)
def test_the_channel_of_the_local_embeddings_stands_the_test_of_a_channel(up: Up) -> None:
    body = {"email": up.first_run["admin_email"], "password": up.first_run["admin_password"]}
    login = httpx2.post(f"{up.url}/api/auth/login", json=body, trust_env=False)
    headers = as_(login.json()["access_token"])
    listed = httpx2.get(f"{up.url}/api/admin/channels", headers=headers, trust_env=False).json()["items"]
    [channel] = [item for item in listed if item["name"] == "local-embeddings"]
    path = f"{up.url}/api/admin/channels/{channel['id']}/test"
    tried = httpx2.post(path, headers=headers, timeout=30, trust_env=False)
    assert tried.json() == {"ok": True, "model": local_embeddings.MODEL, "status": 200}


def cosine(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors of length one."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_doctor_finds_everything_in_order_while_it_runs(up: Up) -> None:
    done = deepspace("doctor", "--data-dir", str(up.data_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok  ")] == []
    assert len(lines) >= 8


def test_operators_work_from_the_machine_itself(up: Up) -> None:
    where = ("--data-dir", str(up.data_dir))
    made = deepspace(
        "admin", "create-user", "ada@example.org", "--name", "Ada", "--password", "first password",
        "--organization", "Ada's lab", *where,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    org = json.loads(made.stdout)["organization_id"]
    again = deepspace(
        "admin", "create-user", "ada@example.org", "--name", "A", "--password", "x" * 12, *where
    )
    assert again.returncode != 0
    assert "already" in again.stderr
    assert "Traceback" not in again.stderr

    topped = deepspace("admin", "top-up", org, "1.5", "a gift", *where)
    assert json.loads(topped.stdout)["balance"] == "1.5"

    def login(password: str) -> int:
        body = {"email": "ada@example.org", "password": password}
        return httpx2.post(f"{up.url}/api/auth/login", json=body, trust_env=False).status_code

    assert login("first password") == 200
    reset = deepspace("admin", "reset-password", "ada@example.org", "--password", "other password", *where)
    assert reset.returncode == 0, reset.stderr
    assert (login("first password"), login("other password")) == (401, 200)


@pytest.mark.parametrize("victim", ["gateway --fd", "local_model", "bin/postgres"])
def test_a_killed_part_is_back_within_ten_seconds_with_everything_in_place(up: Up, victim: str) -> None:
    before = up.balance()
    earlier = up.chat()
    cost = Decimal(earlier.json()["usage"]["cost"])
    killed = up.children()[victim]
    killed.kill()
    start = time.monotonic()
    gone([killed], 2)
    wait(up.answers, 10)
    assert time.monotonic() - start < 10
    assert up.children()[victim].pid != killed.pid
    # Nothing acknowledged was lost: the earlier call is on the books, with its story.
    story = up.get(f"/api/traces/{earlier.headers['x-trace-id']}").json()
    assert (story["state"], story["cost"]) == ("captured", earlier.json()["usage"]["cost"])
    assert up.balance() < before - cost  # that call, and at least the one that succeeded after it
    assert wait(lambda: up.get("/ready").status_code == 200, 5)


def test_a_client_waits_and_is_not_refused_while_the_gateway_is_started_again(up: Up) -> None:
    up.children()["gateway --fd"].kill()
    response = httpx2.get(f"{up.url}/health", timeout=10, trust_env=False)
    assert response.status_code == 200


def test_sigterm_ends_every_process_and_a_second_start_keeps_everything_and_prints_no_secret(up: Up) -> None:
    assert up.process is not None
    before, written = up.balance(), up.first_run
    family = up.family()
    assert len(family) >= 4
    start = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(20) == 0
    gone(family, 2)
    assert time.monotonic() - start < 15

    banner = up.start()
    for name in ("admin_password", "api_key"):
        assert written[name] not in up.output.read_text()
    assert up.url in banner
    assert up.first_run == written
    assert up.balance() == before
    assert up.answers()


def test_a_killed_supervisor_leaves_no_orphans_and_the_next_start_works(up: Up) -> None:
    assert up.process is not None
    before = up.balance()
    family = up.family()
    up.process.kill()
    up.process.wait(5)
    gone([process for process in family if process.pid != up.process.pid], 15)
    up.start()
    assert up.balance() == before
    assert up.answers()


def test_a_call_under_way_is_finished_when_the_platform_is_asked_to_stop(up: Up) -> None:
    assert up.process is not None
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Tell me a long story about the sea."}],
        "max_tokens": 60,
        "stream": True,
    }
    url, headers = f"{up.url}/v1/chat/completions", as_(up.first_run["api_key"])
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=30, trust_env=False) as response:
        lines = response.iter_lines()
        next(lines)
        up.process.send_signal(signal.SIGTERM)
        rest = list(lines)
    assert rest[-2:] == ["data: [DONE]", ""]
    assert up.process.wait(30) == 0
    up.start()
    story = up.get(f"/api/traces/{response.headers['x-trace-id']}").json()
    assert (story["state"], story["usage"]["source"]) == ("captured", "reported")


def test_a_second_start_on_the_same_directory_says_so(up: Up) -> None:
    done = deepspace("up", "--data-dir", str(up.data_dir), "--port", str(free_port()))
    assert done.returncode != 0
    assert (
        sentence(done) == f"deepspace: another `deepspace up` is running on the data directory {up.data_dir}"
    )
    assert up.answers()  # and the first one is not disturbed


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a wrong start prints."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("deepspace: ")
    return lines[0]


def test_a_port_in_use_is_named_and_nothing_is_created(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = deepspace("up", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    assert done.returncode != 0
    assert sentence(done) == f"deepspace: port {port} on 127.0.0.1 is in use; choose another with --port"
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_ours_is_named(tmp_path: Path) -> None:
    done = deepspace("up", "--data-dir", str(tmp_path / "data"), "--host", "192.0.2.1")
    assert done.returncode != 0
    assert "192.0.2.1" in sentence(done)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_directory_that_cannot_be_one_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = deepspace("up", "--data-dir", str(tmp_path / place), "--port", str(free_port()))
    assert done.returncode != 0
    assert f"the data directory {tmp_path / place} is not writable" in sentence(done)
    assert (tmp_path / "file").read_text() == "not a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = deepspace("up", "--data-dir", str(tmp_path / "data"), "--port", str(free_port()))
    assert done.returncode != 0
    assert "is not writable" in sentence(done)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DEEPSPACE_PORT", "abc", "DEEPSPACE_PORT: input should be a valid integer"),
        ("DEEPSPACE_DATABASE_URL", "mysql://db", "DEEPSPACE_DATABASE_URL: it must begin with postgresql://"),
        (
            "DEEPSPACE_DATABSE_URL",
            "postgresql://db",
            "DEEPSPACE_DATABSE_URL is not a setting; did you mean DEEPSPACE_DATABASE_URL?",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence_that_names_it(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    done = deepspace("up", "--data-dir", str(tmp_path / "data"), **{name: value})
    assert done.returncode != 0
    assert said in sentence(done)
    assert not (tmp_path / "data").exists()


def test_a_database_that_cannot_be_reached_is_told_in_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    arguments = ("up", "--data-dir", str(tmp_path / "data"), "--port", str(free_port()))
    done = deepspace(*arguments, DEEPSPACE_DATABASE_URL=url)
    assert done.returncode != 0
    assert sentence(done).startswith("deepspace: DEEPSPACE_DATABASE_URL: the database cannot be reached")
