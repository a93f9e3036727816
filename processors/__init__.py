"""Pure computation: columnar state, folds, indicators. No I/O, no clock, no global state.

``fold(state, batch) -> signals`` is the only way in: the live stream, a replay, a study and a test run the
same code. Nothing here imports Kafka, Faust, Redis or a clock.
"""
