"""Other programs' files to what jobs here take, and jobs to what other programs take."""
