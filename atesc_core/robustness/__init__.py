"""The attack, the robustness scores, the split, and the quality of the split as a detector of OOD images."""
