"""What the training of students and of teachers shares: events, divergences and evaluation."""
