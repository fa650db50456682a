"""What several tests share: files, recordings, networks and runs that are small."""
