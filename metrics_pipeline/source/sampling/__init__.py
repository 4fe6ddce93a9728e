"""Sample data: households of invented people who spend at invented merchants."""
