"""Teachers: trained here, shipped with the repo, or loaded from a user's file."""

from atesc_core.teachers.zoo import (
    Teacher,
    TeacherCard,
    TeacherError,
    add_teacher,
    check_file,
    list_teachers,
    load_teacher,
)

__all__ = ["Teacher", "TeacherCard", "TeacherError", "add_teacher", "check_file", "list_teachers", "load_teacher"]
