"""Alembic migrations of the expense tables (where missing) and of schema `metrics`."""
