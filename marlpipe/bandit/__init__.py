"""Multi-OFUL and OFUL on linear bandits (LOMAQ §3.2): regret under different partitions, and the bound of Theorem 1."""
