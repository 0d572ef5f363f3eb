"""Teachers: the list of teachers, the view of one teacher, and the forms that load or train a teacher."""

import streamlit as st

from atesc_core.errors import TeacherError
from atesc_core.runs import default_runs_dir
from atesc_core.teachers import damaged_cards
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state.visitor import may_change
from pages.shared.ui import elements
from pages.shared.ui.polling import is_live, poll
from pages.teachers.teacher_view import deletion_problem, teacher_list, teacher_view
from pages.teachers.training_form import FORM, LATEST_TRAININGS, latest_trainings, training_form
from pages.teachers.training_view import training_view
from pages.teachers.upload_form import upload_form

try:
    known = cards()
except TeacherError as error:
    elements.header("Teachers")
    elements.problem("A teacher's card cannot be read.", f"{error}.", "Repair or delete that file, then reload.")
    st.stop()

linked, run_id = st.query_params.get("teacher"), st.query_params.get("run")
trainings = {run.id: run for run in run_store().trainings()}
if run_id in trainings or linked in known:
    FORM.reset()
if run_id in trainings:
    training_view(trainings[run_id])
elif linked in known:
    teacher_view(known[linked], known)
else:
    elements.header("Teachers", "An SL teacher learned from ID images only. An NTL teacher also learned where to fail.")
    if linked is not None:
        elements.notice("warning", f"There is no teacher {linked[:60]!r} here.", icon=":material/link_off:")
    deletion_problem()
    for path, why in damaged_cards(default_runs_dir()).items():
        elements.notice("warning", f"{path} is left out: {why}", icon=":material/broken_image:")
    if run_id is not None:
        elements.notice("warning", f"There is no training {run_id[:20]!r} here.", icon=":material/link_off:")
    if trainings:
        with elements.card("Trained here", "the latest"):
            poll(latest_trainings, any(map(is_live, list(trainings.values())[:LATEST_TRAININGS])), every_s=2)
    with elements.hidden_when_presenting("more teachers"):
        upload_form()
        if may_change():
            training_form()
    if known:
        teacher_list(known)
    else:
        elements.empty_state("No teachers yet", "Load a file of your own, or train one, above.")
