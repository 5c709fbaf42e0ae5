"""The clients for browsers and for Python, against servers that are killed, drained and cut off under them."""
