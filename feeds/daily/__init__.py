"""From a dataset to the stream: the checks of each day, the ledger, publishing, and replays."""
