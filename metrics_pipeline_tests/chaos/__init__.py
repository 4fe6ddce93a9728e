"""Breaking things on purpose, on real servers and processes; what must hold afterwards is always the same.

Two kinds of faults:

- **At a named step** (`steps.py`, `test_steps.py`): a process that does the pipeline's real work kills
  or stops itself exactly there. The steps are set from here; the product knows nothing of them.
- **In a whole system** (`system.py`, `faults.py`, `test_system.py`): `metrics-pipeline up` on embedded servers,
  while somebody keeps editing expenses; processes and servers are killed, stopped, cut off, emptied, filled.

Then nobody does anything but what a running system does by itself, and all comes to rest: nothing logged,
marked, ordered dropped, queued, running or locked; every stored and every cached payload equals the
independent computation of `metrics_pipeline_tests.reference`; no version went backwards; no expense is
missing.

`make test` runs a short form. `make chaos` runs METRICS_CHAOS_FAULTS faults (default 200) and prints a table of
them; METRICS_CHAOS_SEED makes another choice.
"""
