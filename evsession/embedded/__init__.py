"""The embedded server: RavenDB's HTTP API on SQLite, in this process or served. Borrows no parser or builder of the client."""
