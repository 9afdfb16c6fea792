"""Read and write files, logs and HTTP; a file is written whole, or left as it was."""
