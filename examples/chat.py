"""One question, one answer, its cost. Standard library only.

python3 examples/chat.py KEY "Say hello." [MODEL] [URL]
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request


def ask(url: str, key: str, model: str, question: str) -> None:
    """Ask, and print the answer, its cost and its trace id."""
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
            trace_id = response.headers["x-trace-id"]
    except urllib.error.HTTPError as error:
        fault = json.load(error)["error"]
        sys.exit(f"{fault['code']}: {fault['message']} (trace {fault['trace_id']})")
    print(answer["choices"][0]["message"]["content"])
    print(f"cost {answer['usage']['cost']} {answer['usage']['currency']}, trace {trace_id}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    _, key, question, *rest = sys.argv
    ask((rest[1:] or ["http://127.0.0.1:8080"])[0], key, (rest or ["smollm2-135m-instruct"])[0], question)
