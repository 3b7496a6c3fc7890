"""What makes the kernels compile, keeps them on disk, and runs them as Python where nothing is compiled."""
