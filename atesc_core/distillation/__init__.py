"""Data-free distillation of a student from a teacher: its rounds, losses, state and traced turns."""
