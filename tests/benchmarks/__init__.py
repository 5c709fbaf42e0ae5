"""Benchmarks against what a team would use instead, and against what the machine allows.

``python -m tests.benchmarks.run`` runs them; README.md says what each measures. Nothing here is a test: no
figure of a machine that is busy with something else proves anything.
"""
