"""Whether the jobs are healthy and the numbers fresh, and what to do about what is not. Knows no Dagster."""
