"""Training of one run: rollout, replay, learner, checkpoints, resume."""
