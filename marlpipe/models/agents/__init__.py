"""Agent networks: from what an agent has seen to one utility per action."""
