"""Scripted peers and faults, for this project's tests and for its users'."""
