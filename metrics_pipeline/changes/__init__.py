"""From the log of expense changes to stale periods, and from refreshed periods to cleared marks."""
