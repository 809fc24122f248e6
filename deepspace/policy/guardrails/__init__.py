"""Guardrails: what looks at the text of calls and answers. Pure: no database, no clock, no exchange.

port.py is what a guard is; pii.py and words.py are two; watch.py runs guards over a text that comes in
pieces.
"""
