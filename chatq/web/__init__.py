"""The web: the HTTP API, the websocket's address, the pages, and the server that runs them.

Routes parse, call one function and translate; errors become problem documents in one place. Nothing here
builds connections or reads settings from the environment.
"""
