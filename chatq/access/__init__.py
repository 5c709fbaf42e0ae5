"""Who may do what: callers and their tokens, who is in which conversation, and how much one may do in a while.

The web and the sockets ask here, so that both decide alike. Nothing here knows HTTP or frames.
"""
