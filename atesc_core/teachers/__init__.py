"""Teachers: shipped with the lab, trained in it, or loaded from a user's file.

This package gives their cards without PyTorch; `atesc_core.teachers.zoo` loads their weights.
"""

from atesc_core.teachers.cards import TeacherCard, damaged_cards, find_card, fingerprint, list_teachers

__all__ = ["TeacherCard", "damaged_cards", "find_card", "fingerprint", "list_teachers"]
