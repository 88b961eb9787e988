"""The document session: what RavenDB's protocol and the unit of work make together. Knows no graph."""
