"""The command line, `metrics-pipeline`: one file a command, one line here for each.

Command files import what they do inside the command, so that `--help` is quick.
"""

from metrics_pipeline.cli import (
    calculate,
    check,
    detach,
    down,
    export,
    load,
    locks,
    migrate,
    prune,
    reconcile,
    refresh,
    run,
    sample,
    serve,
    show,
    slow_runs,
    status,
    token,
    up,
    warm,
    worker,
)
from metrics_pipeline.cli.application import application

START, WATCH, DATA = "Start and stop", "See how it is doing", "Bring in expenses"
METRICS = "Compute and read metrics"

app = application()
app.command(rich_help_panel=START)(run.run)
app.command(rich_help_panel=START)(up.up)
app.command(rich_help_panel=START)(worker.worker)
app.command(rich_help_panel=START)(serve.serve)
app.command(rich_help_panel=START)(down.down)
app.command(rich_help_panel=WATCH)(status.status)
app.command("slow-runs", rich_help_panel=WATCH)(slow_runs.slow_runs)
app.add_typer(locks.app, name="locks", help=locks.HELP, rich_help_panel=WATCH)
app.command(rich_help_panel=WATCH)(check.check)
app.command(rich_help_panel=WATCH)(prune.prune)
app.command(rich_help_panel=DATA)(migrate.migrate)
app.command(rich_help_panel=DATA)(detach.detach)
app.command(rich_help_panel=DATA)(sample.sample)
app.command(rich_help_panel=DATA)(load.load)
app.command(rich_help_panel=METRICS)(calculate.calculate)
app.command(rich_help_panel=METRICS)(refresh.refresh)
app.command(rich_help_panel=METRICS)(reconcile.reconcile)
app.command(rich_help_panel=METRICS)(warm.warm)
app.command(rich_help_panel=METRICS)(show.show)
app.command(rich_help_panel=METRICS)(export.export)
app.command(rich_help_panel=METRICS)(token.token)
