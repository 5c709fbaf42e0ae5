"""Websockets by the thousand: how fast messages reach them, what one costs, and how fast they come back.

The other side is Socket.IO in one process, with the client's websocket transport and nothing behind it: no Redis,
no log of events, no order to restore (``peers/guide/rooms.js``). The client is one program for both, ``crowd.py``.
"""
