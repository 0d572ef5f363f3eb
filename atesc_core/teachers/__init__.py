"""Teachers: shipped with the lab, trained here, or loaded from a user's file.

Their cards are here and need no PyTorch; `atesc_core.teachers.zoo` loads their weights.
"""

from atesc_core.teachers.cards import TeacherCard, find_card, fingerprint, list_teachers

__all__ = ["TeacherCard", "find_card", "fingerprint", "list_teachers"]
