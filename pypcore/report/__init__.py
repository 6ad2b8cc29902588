"""One HTML file that tells a job to somebody who has neither the job folder nor a network."""
