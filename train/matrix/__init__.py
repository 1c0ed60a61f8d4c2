"""The paper's whole matrix of policies as a list of independent jobs, run here or on a cluster."""
