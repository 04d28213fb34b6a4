"""The parts of `scripts/fault_drill.py`: faults, what judges how the package took them, and the rows of its table."""
