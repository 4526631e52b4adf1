"""Worlds as pure functions of batched states, and adapters of PettingZoo's and VMAS's worlds."""
