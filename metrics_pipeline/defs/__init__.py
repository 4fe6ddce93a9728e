"""What Dagster orchestrates: partitions, assets, jobs, schedules. Bodies translate; the core works.

Modules here do without `from __future__ import annotations`: Dagster reads annotations as objects.
"""
