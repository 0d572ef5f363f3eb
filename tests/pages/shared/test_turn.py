"""Step mode on the Distill page: whose turn it is, and what the card says was computed."""

from __future__ import annotations

import threading

import pytest

from atesc_core.distillation.loop import distill
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.runs.worker import work
from atesc_core.teachers.zoo import load_teacher
from pages.shared.ui.glossary import LOSSES, TERMS, annotated
from pages.shared.ui.turn.tables import decimal
from tests.support.labs import tiny_spec
from tests.support.pages import button, image_walls, page_text, primary_buttons, set_status
from tests.support.waiting import until

CARD = "Trace of one turn"
POOLED = {"synthesis.batch_size": 32, "synthesis.steps": 3, "synthesis.width": 8, "synthesis.pool": 100}


def unmeasured(run, runs_dir, controls, resume):
    return distill(run.spec, load_teacher(run.spec.teacher, runs_dir), None, controls, resume)


@pytest.fixture
def working(store):
    """A worker in a thread, as soon as a run waits in the lab: `working()`."""
    leaving = threading.Event()
    thread = threading.Thread(target=work, args=(store.runs_dir, "cpu", unmeasured, leaving))
    yield thread.start
    leaving.set()
    if thread.ident:
        thread.join(60)
        assert not thread.is_alive()


def paused(store, working, spec) -> str:
    """A run that has taken its first turn, the generator's."""
    run_id = store.create(spec)
    store.take_turn(run_id)
    working()
    until(lambda: store.get(run_id).status == "paused")
    return run_id


def take(store, run_id: str) -> None:
    store.take_turn(run_id)
    until(lambda: store.get(run_id).status == "paused")


def press(app, store, run_id: str, label: str) -> None:
    """And look when it is done: the page waits for it only for a moment."""
    button(app, label).click().run()
    until(lambda: store.get(run_id).status == "paused")
    app.run()


@pytest.mark.parametrize("status", ["running", "done", "stopped", "interrupted"])
def test_it_takes_no_room_while_nobody_steps(open_page, store, status):
    run_id = store.create(tiny_spec())
    set_status(store, run_id, status)
    assert CARD not in page_text(open_page("distill", run=run_id))


def test_a_paused_run_asks_for_the_generators_turn(open_page, store):
    run_id = store.create(tiny_spec())
    store.pause(run_id)
    app = open_page("distill", run=run_id)
    assert not app.exception
    assert f"{CARD} before the first round" in " ".join(page_text(app).split())
    assert "A round begins with the generator" in page_text(app)
    assert not button(app, "Generator's turn").disabled
    assert button(app, "Student's turn").disabled
    assert primary_buttons(app) == ["Generator's turn"]


@pytest.mark.parametrize(
    ("kind", "escape", "changes"),
    [
        ("dfq", "atesc", {"escape.warmup_epochs": 0}),
        ("dfq", "atesc", {}),
        ("dfq", "none", {}),
        ("dfq", "abd", {}),
        ("dfq", "twin", {"escape.warmup_epochs": 0}),
        ("cmi", "ckd", {"escape.warmup_epochs": 0, "synthesis.bank": 100, "synthesis.negatives": 8}),
        ("nayer", "tadfkd", {"synthesis.noise": 8, "synthesis.warmup_loops": 1, "temperature": 20.0}),
    ],
)
def test_both_turns_say_what_was_computed(open_page, store, working, monkeypatch, kind, escape, changes):
    monkeypatch.setattr(
        "atesc_core.distillation.trap_label.find_trap", lambda *_: TrapEvidence(0, 16_384, 100, 90, 5.0)
    )
    spec = (
        tiny_spec()
        .replaced({"synthesis.kind": kind})
        .replaced({"escape.kind": escape} | (POOLED if kind != "dfq" else {}))
        .replaced({"split.threshold": 1.0} | changes)
    )
    run_id = paused(store, working, spec)
    app = open_page("distill", run=run_id)
    assert not app.exception
    generator_turn, words = store.last_turn(run_id), " ".join(page_text(app).split())
    assert "epoch 1 of 2 · round 1 of 4 · the generator's turn" in words
    assert f"that reached the generator : {decimal(generator_turn.gradient_norm, 3)}" in words.replace(
        "generator:", "generator :"
    )
    for name, values in generator_turn.losses.items():
        assert LOSSES[name][0].split(",")[0] in words
        assert decimal(values[-1], LOSSES[name][1]) in words
    assert f"Total {decimal(sum(generator_turn.losses.values())[0], 3)}" in words
    assert len(image_walls(app)[f"turn wall {run_id}"]) == 32
    if kind != "dfq":
        assert "step 1 step 3" in words
        assert f"y = {generator_turn.labels[0]}" in words

    press(app, store, run_id, "Student's turn")
    assert not app.exception
    student_turn, words = store.last_turn(run_id), " ".join(page_text(app).split())
    assert (student_turn.who, student_turn.number) == ("student", 1)
    assert "the student's turn 1 of 2" in words
    assert f"gradient : {decimal(student_turn.gradient_norm, 3)}" in words
    for name in student_turn.losses:
        assert f"{decimal(student_turn.losses[name], 3)} {decimal(student_turn.losses_after[name], 3)}" in words
    assert f"mean over the {student_turn.teach_mask.sum()} that teach" in words
    assert ("Forgetting" in words) == (student_turn.forget_mask is not None)
    assert ("KL at temperature 20" in words) == (spec.temperature == 20)
    roles = [cell["role"] for cell in image_walls(app)[f"turn wall {run_id}"]]
    if student_turn.fragile_mask is None:
        unsplit = "The OOD half never teaches" if escape == "twin" else "This run splits nothing"
        assert ("Warm-up, epoch 1 of 1" if spec.escape.splits else unsplit) in words
        assert set(roles) == {None}
    else:
        fragile = student_turn.fragile_mask
        assert f"fragile {fragile.sum()} robust {(~fragile).sum()} of 32 synthetic" in words
        assert roles[:32] == ["fragile" if each else "robust" for each in student_turn.fragile_mask[:32]]


def test_another_browser_sees_the_same_turn_and_image(open_page, store, working):
    run_id = paused(store, working, tiny_spec())
    first, second = (open_page("distill", run=run_id, image="3") for _ in range(2))
    assert page_text(first).split("What happened")[0] == page_text(second).split("What happened")[0]
    assert f"z = ({decimal(store.last_turn(run_id).noise[3][0], 2)}," in page_text(first)


def test_the_last_student_step_gives_the_generator_its_turn_and_a_step_clears_the_card(open_page, store, working):
    run_id = paused(store, working, tiny_spec())
    take(store, run_id)
    take(store, run_id)
    app = open_page("distill", run=run_id)
    assert "the student's turn 2 of 2" in page_text(app)
    press(app, store, run_id, "Generator's turn")
    assert "round 2 of 4 · the generator's turn" in page_text(app)
    press(app, store, run_id, "Step")
    assert "between two rounds" in page_text(app)
    button(app, "Resume").click().run()
    assert store.get(run_id).requested_state == "run"
    assert CARD not in page_text(app)


def test_slow_motion_is_switched_on_at_a_pace_and_off_again(open_page, store):
    run_id = store.create(tiny_spec())
    store.pause(run_id)
    app = open_page("distill", run=run_id, pace="10")
    button(app, "Slow motion").click().run()
    assert not app.exception
    run = store.get(run_id)
    assert (run.in_slow_motion, run.seconds_per_turn, run.status) == (True, 10.0, "queued")
    assert button(app, "Generator's turn").disabled
    assert button(app, "Resume").help == "At full speed"
    pace = next(group for group in app.get("button_group") if group.label == "Seconds a turn")
    pace.set_value(2).run()
    assert store.get(run_id).seconds_per_turn == 2.0
    assert app.query_params["pace"] == "2"
    assert primary_buttons(app) == ["End slow motion"]
    button(app, "End slow motion").click().run()
    assert (store.get(run_id).in_slow_motion, store.get(run_id).status) == (False, "paused")
    assert not button(app, "Generator's turn").disabled


def test_a_training_has_rounds_and_no_turns(open_page, store):
    from atesc_core.specs.teacher import TeacherSpec

    run_id = store.create(TeacherSpec(name="mine", pair="mnistm-mnist", kind="NTL", epochs=2, device="cpu"))
    store.pause(run_id)
    app = open_page("teachers", run=run_id)
    assert not app.exception
    assert CARD not in page_text(app)
    assert "Paused between two rounds" in page_text(app)


def test_every_symbol_of_a_loss_is_explained():
    for words, _ in LOSSES.values():
        assert "data-help" in annotated(words)
    assert all(text.endswith(".") for text in TERMS.values())
