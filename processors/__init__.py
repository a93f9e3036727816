"""Pure computation: columnar state, folds, indicators. No I/O, no clock, no global state.

Input enters by ``fold(batch)`` alone. The running stream, a replay, a study and a test run the same code. No module
here imports Kafka, Faust, Redis or a clock.
"""
