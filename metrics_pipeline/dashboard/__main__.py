"""Serve the dashboard, on the servers that the environment names."""

from __future__ import annotations

import sys

from metrics_pipeline.dashboard.server import serve
from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.services.instance import instance_monitor
from metrics_pipeline.settings import load_settings

if __name__ == "__main__":
    try:
        serve(load_settings(), instance_monitor)
    except MetricsPipelineError as error:
        sys.exit(str(error))
