"""Real parts for the tests: a Valkey, a Postgres and the ``chatq`` command, each as an operator would run it."""
