"""Identity, configuration, status and events in one SQLite database (WAL); one module a noun.

Every function takes a :class:`runtime.store.database.Database` (reads) or a
:class:`runtime.store.database.Transaction` (writes); a change and the event that tells of it share one
transaction.
"""
