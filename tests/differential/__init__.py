"""The embedded server beside a real RavenDB: the same programs, answer by answer."""
