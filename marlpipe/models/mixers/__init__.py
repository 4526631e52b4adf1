"""Mixers: from utilities (B,T,N) and the state to one value per block of the partition (B,T,J)."""
