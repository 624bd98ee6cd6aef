"""Makes the plan with pure functions of the configuration and of what was read about models and benchmarks.

Nothing here reads the disk, so the same input gives the same plan on any machine.
"""
