"""The public face: stores, sessions, operations and events. Joins flows, identity map and transport."""
