"""Rules, the lifecycle of alerts, their text and metrics. Knows signal types, nothing of Kafka or Redis."""
