"""Engines without models, for tests and for the front end's benchmarks."""
