"""From expenses to payloads: pull, encode, compute, assemble."""
