"""Fuzzing of everything that decodes messages, `make fuzz`.

`inputs` makes hostile messages of every topic, `targets` decodes and folds them as the stages do, `harness` runs both
in processes with limits of time and memory. ``corpus.jsonl`` contains what once broke something.
"""
