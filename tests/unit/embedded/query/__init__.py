"""Tests of queries on a store in memory."""
