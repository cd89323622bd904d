"""Faust apps that benchmarks run as workers."""
