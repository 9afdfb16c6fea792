"""From raw zips and their CHECKSUMs to typed, sorted, unique partitions."""
