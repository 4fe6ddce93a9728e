"""What may be forgotten: records of old runs, counters, and logs beyond a size. Knows no Dagster."""
