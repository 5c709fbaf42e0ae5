"""Faults: parts of a running system are killed and frozen, and then nothing may be lost, doubled or out of order.

``test_random_faults`` does it at random under load, ``test_windows`` at the moments that are worst.
"""
