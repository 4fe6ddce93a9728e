"""The expense application's tables: sample data for them, and loading them from CSV files."""
