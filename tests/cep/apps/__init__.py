"""Faust apps that tests run as workers."""
