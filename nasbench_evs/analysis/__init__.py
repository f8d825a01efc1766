"""Analyses: baselines, experiments over many seeds, statistics and plots."""
