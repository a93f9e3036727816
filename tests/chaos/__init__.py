"""The golden replay: one scenario of real data, run undisturbed and under every fault, must end in the same bytes."""
