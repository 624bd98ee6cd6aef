"""Making a plan. Pure: functions from the configuration and what was read about models and benchmarks.

Nothing is looked up on disk here, so the same input gives the same plan on any machine.
"""
