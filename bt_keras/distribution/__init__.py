"""Training on several processes: who takes part, and what they agree on first."""
