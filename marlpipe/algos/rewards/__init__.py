"""Local rewards that are learned from the team's alone: LOMAQ+RD (Zohar et al. 2022, §4.2, §4.3 and Appendix B)."""
