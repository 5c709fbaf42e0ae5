"""What messages, events and jobs mean, and how they look on the wire.

Standard library and msgspec only: nothing here knows Redis, the database or HTTP. Everything else in
chatq may import it; it imports nothing of chatq but ``errors``.
"""
