"""Shared by all tests: how hard the property tests look."""

from tests.hypothesis_profiles import load_profile

load_profile()
