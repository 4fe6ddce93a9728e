"""A whole `up`, for real."""
