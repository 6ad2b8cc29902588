"""pypcore: a cryo-EM compute pipeline."""
