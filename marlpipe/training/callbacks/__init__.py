"""What happens beside learning: when to evaluate, what to write down, what to show."""
