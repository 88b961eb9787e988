"""Tests of RQL's parser."""
