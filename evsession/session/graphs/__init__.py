"""The graph session: what Neo4j's protocol and the unit of work make together. Knows no document."""
