"""Multi-OFUL and OFUL on linear bandits, LOMAQ §3.2: regret under different partitions, beside Theorem 1."""
