"""Rollouts: a new model version is tried beside the one that answers, step by step, and goes back when a judge says worse."""
