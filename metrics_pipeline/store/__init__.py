"""The durable store of computed payloads: schema `metrics`, table `period_metrics`."""
