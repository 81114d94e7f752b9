"""What SQL databases share: one client with every ability, statements, outcomes by stage.

A database brings two things: how a statement gets there and its answer back
(:class:`systems.drivers.sql.connection.Connection`), and how it spells a few words and which of its
errors are its own word that nothing happened (:class:`systems.drivers.sql.dialect.Dialect`, about
40 lines). :class:`systems.drivers.sql.client.SqlClient` is the client.
"""
