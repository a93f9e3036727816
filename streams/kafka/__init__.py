"""The transport below the stages: how Faust and the Kafka clients fetch, batch, assign and wait."""
