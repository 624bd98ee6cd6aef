"""What is asked of Ray in the process of a worker, for workers that know nothing of Ray themselves."""
