"""What somebody is told without looking: a webhook when health changes or runs fail, and a dead man's switch.

The webhook METRICS_ALERT_WEBHOOK_URL gets a POST with a JSON body:

- `schema` 1; `id`, the same when one alert is sent again; `at`, ISO 8601; `text`, a sentence or two, as Slack's
  incoming webhooks show it.
- `kind` "health": `was` and `health` (healthy, warning, critical), `message`, `checks` (those not healthy: `name`,
  `level`, `said`), `recommendations` (as in `metrics-pipeline status --json`). Sent when the verdict changes in any
  direction, and when another check fails or one gets worse. What is wrong counts once it was so in two looks, a
  minute apart; what is well counts at once.
- `kind` "failures": `count`, and `runs` (at most five: `run_id`, `job`, `kind`, `partitions`). Runs that failed and
  are not retried any more; all since the last such alert are one alert.

With METRICS_ALERT_SECRET, `X-Metrics-Signature: v1=<hex>` is the HMAC-SHA256, keyed with that secret, of the header
`X-Metrics-Timestamp` (seconds since 1970), a full stop, and the body. Compare in constant time, and refuse
timestamps that are minutes old.

Any answer from 200 to 299 counts as delivered. Until there is one, the alert is made again every minute from what is
then true: it arrives at least once, and what has passed meanwhile is not told late.

METRICS_HEARTBEAT_URL gets a GET after each hourly calculation in which all four grains succeeded, if health is not
critical. A service that expects one every hour tells you when it stays away: what this machine cannot do itself.
"""
