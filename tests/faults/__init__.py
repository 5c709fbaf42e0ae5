"""Faults: parts of a running system are killed and frozen, and then nothing may be lost, doubled or out of order.

``test_random_faults`` does it at random under load; the other modules do it at the moments that are worst.
``pytest tests/faults --fault-seconds 600`` gives chance more time, and ``CHATQ_FAULT_SEED``, set to the number that
a failed test has printed, lets it begin in the same way again. What the processes logged, what was asked for and,
with SQLite, the database stay in the test's temporary directory.
"""
