"""Tables of other hosts: served and fetched over Arrow Flight.

Does not depend on: columns in pandas; the engine (Dask, Ray) whose tasks use the tables.

A host serves a store (`server`), and a process of another host fetches a table from it once, into its own store
(`fetch`), where all processes of that host map it. The file's own bytes are sent (`client`).
"""
