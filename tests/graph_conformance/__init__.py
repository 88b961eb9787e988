"""What graph sessions do on a real Neo4j, named by EVSESSION_TEST_NEO4J; 5.26 and 2026.07 have passed."""
