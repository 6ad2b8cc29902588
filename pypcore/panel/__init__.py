"""A web page of jobs, read from their folders: a small server on this machine's loopback, and the page it gives."""
