"""The attack, the robustness scores, the split, and how well the split finds OOD."""
