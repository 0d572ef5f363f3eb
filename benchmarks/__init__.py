"""Benchmarks: programs that measure time, memory and accuracy; each is run as a module."""
