"""Random programs on a session whose server is in this process."""

from __future__ import annotations

from hypothesis import settings

from tests.unit.unitofwork.machine import SessionMachine

TestRandomPrograms = SessionMachine.TestCase
TestRandomPrograms.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)
