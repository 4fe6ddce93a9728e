"""The app that `celery -A metrics_pipeline.defs.worker worker` runs; `services.worker` has the whole command."""

import warnings

from celery.platforms import SecurityWarning

from metrics_pipeline.defs.celery_app import celery_app
from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.settings import load_settings

# Root is the usual user of a container; what makes that dangerous, pickled messages, is not accepted here.
warnings.filterwarnings("ignore", category=SecurityWarning)

_settings = load_settings()
_broker_url = _settings.broker_url or _settings.redis_url
if _broker_url is None:
    raise ConfigurationError(
        "A worker needs METRICS_BROKER_URL or METRICS_REDIS_URL; `metrics-pipeline worker` sets them."
    )

app = celery_app(_broker_url)
