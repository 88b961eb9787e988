"""Sessions on RavenDB and Neo4j for trio."""
