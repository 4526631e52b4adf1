"""Networks: agents, mixers, and what keeps mixers monotone."""
