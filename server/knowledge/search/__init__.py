"""Search within datasets: by keywords, by vectors, and by both."""
