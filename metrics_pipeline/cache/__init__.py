"""Payloads in Redis: keys, publishing by version, reading."""
