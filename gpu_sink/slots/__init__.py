"""Slots that go round, and the engines that copy them to where they are wanted."""
