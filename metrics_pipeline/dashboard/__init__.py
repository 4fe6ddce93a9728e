"""The web page of an account's metrics and its JSON API, over the reader. `python -m metrics_pipeline.dashboard`."""
