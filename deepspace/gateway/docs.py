"""/docs: the OpenAPI document as a plain page. No script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any


def docs_page(document: dict[str, Any]) -> bytes:
    """Return an HTML page that lists every operation with its summary, description and answers."""
    rows: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            summary, description = operation.get("summary", ""), operation.get("description", "")
            rows += [
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
                f"<p><b>{escape(summary)}</b></p><p>{escape(description)}</p>",
                f"<p>Answers: {escape(', '.join(operation.get('responses', {})))}</p>",
            ]
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    link = '<p>The machine-readable form is <a href="/openapi.json">/openapi.json</a>.</p>'
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    return f"{head}<h1>{title}</h1>{link}{''.join(rows)}</html>".encode()
