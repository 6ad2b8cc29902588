"""SLURM: what a cluster offers, whether a job fits it, submission, and where a submitted job stands."""
