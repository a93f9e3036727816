"""The chart model: training samples, network, walk-forward training, and the model folder that workers score with."""
