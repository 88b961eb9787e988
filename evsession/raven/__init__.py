"""RavenDB's protocol as flows and values: what to ask, and what the answers mean. Knows no socket, no clock and no session."""
