"""What an operator asks of an installation, one question a module.

Modules here look and report; commands print what they say. They may use the queue and the store, but
nothing that runs a role.
"""
