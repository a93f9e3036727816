"""Everything that waits, retries or talks to the network: Kafka, Faust, Redis, feeds, the command line."""
