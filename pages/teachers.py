"""Teachers: who there is, what each does with real images, and a file of your own."""

import streamlit as st

from pages._parts import look
from pages._parts.add_teacher import add_teacher
from pages._parts.teacher_view import opened, shelf
from pages._parts.teachers import cards

try:
    known = cards()
except ValueError as error:  # a TeacherError, whose module needs PyTorch
    look.header("Teachers")
    look.problem("A teacher's card cannot be read.", f"{error}.", "Repair or delete that file, then reload.")
    st.stop()

wanted = st.query_params.get("teacher")
if wanted in known:
    opened(known[wanted], known)
else:
    look.header("Teachers", "An SL teacher learned from ID images only. An NTL teacher also learned where to fail.")
    if wanted is not None:
        st.warning(f"There is no teacher {wanted[:60]!r} here.", icon=":material/link_off:")
    if known:
        shelf(known)
    else:
        look.empty("No teachers yet", "Load a file of your own below.")
    add_teacher()
