"""The command line: a module for each command, or for a family of them.

A command parses its arguments, builds Settings, calls one function and translates nothing: errors go up to
``app``, which knows what each means to a shell. A module offers ``register(app)`` and imports what is heavy
only when its command runs, so that ``chatq --help`` is quick.
"""
