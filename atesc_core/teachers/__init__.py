"""Teachers: trained here, shipped with the repo, or loaded from a user's file."""

from atesc_core.errors import TeacherError
from atesc_core.teachers.formats import NORMALISATIONS, Recognised, check_file, recognise
from atesc_core.teachers.zoo import Teacher, TeacherCard, add_teacher, fingerprint, list_teachers, load_teacher

__all__ = [
    "NORMALISATIONS",
    "Recognised",
    "Teacher",
    "TeacherCard",
    "TeacherError",
    "add_teacher",
    "check_file",
    "fingerprint",
    "list_teachers",
    "load_teacher",
    "recognise",
]
