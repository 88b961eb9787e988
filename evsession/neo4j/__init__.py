"""Neo4j's protocol, the HTTP Query API v2, as flows and values. Does no I/O and knows no session."""
