"""Tools without domain words: errors, clock, ids, money, database, pages, logs, cryptography, SSE."""
