"""Gold beads of a tilt series: found, followed, solved for, and taken out of the images."""
