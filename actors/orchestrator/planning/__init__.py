"""Pure functions that make the plan from the configuration and from what was read about models and benchmarks.

Nothing here reads the disk, so the same input gives the same plan on any machine.
"""
