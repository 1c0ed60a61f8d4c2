"""Proximal policy optimisation: rollouts by processes, a compiled learner, and the policy in its deployed formats."""
