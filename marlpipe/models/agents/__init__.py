"""Agent networks: from what an agent has observed to one utility per action."""
