"""PostgreSQL and Redis for a machine that has neither, and Dagster's processes under one command."""

from metrics_pipeline.services.dagster_home import dagster_home, migrate_dagster
from metrics_pipeline.services.embedded import ServiceUrls, ensure_services, stop_services
from metrics_pipeline.services.foreground import Program
from metrics_pipeline.services.instance import enter_dagster_home
from metrics_pipeline.services.states import ServiceState, service_states
from metrics_pipeline.services.supervisor import answers, is_up, up
from metrics_pipeline.services.worker import worker

__all__ = [
    "Program",
    "ServiceState",
    "ServiceUrls",
    "answers",
    "dagster_home",
    "ensure_services",
    "enter_dagster_home",
    "is_up",
    "migrate_dagster",
    "service_states",
    "stop_services",
    "up",
    "worker",
]
