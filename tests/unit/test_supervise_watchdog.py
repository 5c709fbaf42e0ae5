"""Who hangs, and what becomes of it, replayed from histories; and the pipe that signs of life travel on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatq.errors import ExitCode
from chatq.supervise import heartbeat
from chatq.supervise.death import Restarts
from chatq.supervise.heartbeat import Pulse, take_over
from chatq.supervise.role import Role
from tests.parts.play import Play

FIRST = Role("worker.1", ("worker",), rank=1, timeout=10.0)
SECOND = Role("worker.2", ("worker",), rank=1, timeout=10.0)
API = Role("api", ("api",))


def pass_time(play: Play, seconds: int, *heard: Role, flowing: bool = True) -> None:
    """Let seconds pass, at each of which the processes in ``heard`` give a sign of life."""
    for _ in range(seconds):
        for role in heard:
            play.supervisor.heard(role)
        play.after(1, flowing=flowing)


# --- who hangs -----------------------------------------------------------------------------------


def test_one_that_falls_silent_is_killed_and_replaced_and_nobody_else() -> None:
    # Given two workers, both heard
    play = Play(FIRST, SECOND, API)
    pass_time(play, 60, FIRST, SECOND)
    play.new_acts()
    # When one falls silent
    pass_time(play, 9, SECOND)
    assert play.new_acts() == []
    pass_time(play, 2, SECOND)
    # Then it is killed, once, and people are told what and why
    pass_time(play, 30, SECOND)
    assert play.new_acts() == ["kill worker.1"]
    assert play.said == ["worker.1 has given no sign of life for 10 s: killed; starts again"]
    # When it has ended, then another is there at once, though none that dies may come back
    play.ends("worker.1", -9)
    assert play.new_acts() == ["start worker.1"]
    # And a death is a death still
    pass_time(play, 5, FIRST, SECOND)
    play.ends("worker.1", -9)
    assert play.said[-1] == "worker.1 died: killed by SIGKILL; stopping everything"


def test_being_replaced_is_no_restart_that_counts() -> None:
    play = Play(FIRST, API, restarts=Restarts(1))
    for _ in range(3):
        play.supervisor.heard(FIRST)
        pass_time(play, 12)
        play.ends("worker.1", -9)
    assert play.new_acts()[2:] == ["kill worker.1", "start worker.1"] * 3
    play.ends("worker.1", 1)
    assert play.said[-1].startswith("worker.1 died: exit status 1; starts again")


def test_one_that_has_never_been_heard_is_still_starting() -> None:
    play = Play(FIRST, API)
    pass_time(play, 600)
    assert play.new_acts() == ["start worker.1", "start api"]
    # Neither is the replacement of one that hung mistaken for hanging
    play.supervisor.heard(FIRST)
    pass_time(play, 12)
    play.ends("worker.1", -9)
    pass_time(play, 600)
    assert play.new_acts() == ["kill worker.1", "start worker.1"]


def test_one_that_gives_no_signs_is_never_missed() -> None:
    play = Play(API)
    play.supervisor.heard(API)
    pass_time(play, 600)
    assert play.new_acts() == ["start api"]


def test_signs_of_life_are_looked_for_every_second_while_there_is_anybody_who_gives_them() -> None:
    play = Play(FIRST, API, restarts=Restarts(1))
    for _ in range(3):
        assert play.supervisor.next_tick() == play.now + 1
        play.after(1)
        play.supervisor.heard(FIRST)
    play.ends("api", 1)
    assert play.supervisor.next_tick() == play.now + 1
    play.ends("worker.1", 1)
    assert play.supervisor.next_tick() == play.now + 1
    assert Play(API).supervisor.next_tick() is None


def test_a_sign_of_life_that_is_heard_late_counts_all_the_same() -> None:
    # Given signs of life that are heard only when silence is judged, each time after more than may pass in silence
    play = Play(Role("worker", ("worker",), timeout=1.0))
    for _ in range(10):
        play.now += 1.5
        play.supervisor.heard(play.roles["worker"])
        play.after(0)
    assert play.new_acts() == ["start worker"]


def test_a_supervisor_that_slept_gives_everybody_time_to_say_that_they_live() -> None:
    # Given a worker, and a supervisor that slept, as the worker perhaps did too
    play = Play(FIRST)
    pass_time(play, 5, FIRST)
    play.after(3600)
    # When the worker says something soon, then all is well
    pass_time(play, 3)
    pass_time(play, 5, FIRST)
    assert play.new_acts() == ["start worker.1"]
    # When it does not, then it is killed all the same
    play.after(3600)
    pass_time(play, 10)
    assert play.new_acts() == ["kill worker.1"]


def test_one_that_waits_until_somebody_reads_what_it_writes_does_not_hang() -> None:
    # Given a reader that takes nothing for a long time
    play = Play(FIRST)
    play.supervisor.heard(FIRST)
    pass_time(play, 600, flowing=False)
    # When it goes on reading, then the worker has its time, and no more
    pass_time(play, 9)
    assert play.new_acts() == ["start worker.1"]
    pass_time(play, 2)
    assert play.new_acts() == ["kill worker.1"]


def test_at_the_end_only_the_time_for_ending_counts() -> None:
    # Given an API that needs its time to end, before workers are asked to
    play = Play(FIRST, Role("api", ("api",), grace=30))
    play.supervisor.heard(FIRST)
    play.supervisor.asked_to_stop()
    play.new_acts()
    # When a worker is silent meanwhile, then it is left alone
    pass_time(play, 20)
    assert play.new_acts() == []
    # And one that is told to end and hangs is killed when it is due, and not replaced
    play.ends("api", 0)
    pass_time(play, 10)
    play.ends("worker.1", -9)
    assert play.new_acts() == ["term worker.1", "kill worker.1"]
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.DONE


def test_one_that_was_killed_when_all_are_asked_to_end_is_not_replaced() -> None:
    play = Play(FIRST)
    play.supervisor.heard(FIRST)
    pass_time(play, 12)
    play.supervisor.asked_to_stop()
    play.ends("worker.1", -9)
    assert play.done()


@pytest.mark.parametrize("status", [3, 4])
def test_a_replacement_that_finds_redis_or_the_database_away_is_started_until_it_lives(status: int) -> None:
    # Given a worker that hung because what it needs does, so that its replacement cannot begin
    play = Play(FIRST, restarts=Restarts(0, final=frozenset({2, 3, 4})))
    play.supervisor.heard(FIRST)
    pass_time(play, 12)
    play.ends("worker.1", -9)
    play.ends("worker.1", status)
    assert play.said[-1] == f"worker.1 died: exit status {status}; starts again in 0.5 s"
    play.after(0.5)
    # When one lives for longer, and still cannot, then the next is there at once
    play.after(6)
    play.ends("worker.1", status)
    assert play.new_acts() == ["start worker.1", "kill worker.1", *["start worker.1"] * 3]
    # When one has shown that it lives, then the same end is a death
    play.supervisor.heard(FIRST)
    play.ends("worker.1", status)
    assert play.done()
    assert play.supervisor.exit_code == status


def test_a_replacement_that_fails_otherwise_has_died() -> None:
    play = Play(FIRST, API)
    play.supervisor.heard(FIRST)
    pass_time(play, 12)
    play.ends("worker.1", -9)
    play.ends("worker.1", 2)
    assert play.new_acts()[-1] == "term api"
    assert play.supervisor.exit_code is ExitCode.USAGE


# --- the pipe ------------------------------------------------------------------------------------


@pytest.fixture
def give() -> tuple[Callable[[], None], Pulse]:
    """A function that gives a sign of life whenever it is called, and the pulse that hears it."""
    pulse = Pulse()
    give_sign = take_over(dict(pulse.environment), period=0)
    assert give_sign is not None
    return give_sign, pulse


def test_signs_of_life_are_heard_once_however_many(give: tuple[Callable[[], None], Pulse]) -> None:
    give_sign, pulse = give
    assert not pulse.heard()
    give_sign()
    give_sign()
    assert pulse.heard()
    assert not pulse.heard()
    pulse.passed()
    pulse.close()


def test_a_supervisor_that_sleeps_or_is_gone_holds_nobody_up(give: tuple[Callable[[], None], Pulse]) -> None:
    give_sign, pulse = give
    # Given a supervisor that has not listened for longer than a pipe can hold
    for _ in range(100_000):
        give_sign()
    assert pulse.heard()
    # When it is gone, then nothing happens
    pulse.close()
    give_sign()
    pulse.passed()


def test_signs_are_given_at_most_twice_a_second() -> None:
    pulse = Pulse()
    give_sign = take_over(dict(pulse.environment))
    assert give_sign is not None
    give_sign()
    assert pulse.heard()
    give_sign()
    assert not pulse.heard()
    pulse.passed()
    pulse.close()


def test_what_was_started_by_hand_gives_no_signs() -> None:
    assert take_over({}) is None


def test_what_is_taken_over_is_kept_from_other_processes() -> None:
    pulse = Pulse()
    (descriptor,) = pulse.to_pass
    os.set_inheritable(descriptor, True)
    environment = {"OTHER": "kept", **pulse.environment}
    assert take_over(environment) is not None
    assert environment == {"OTHER": "kept"}
    assert not os.get_inheritable(descriptor)
    pulse.passed()
    pulse.close()


def test_a_number_that_means_nothing_any_more_is_ignored(tmp_path: Path) -> None:
    # Given files, and the wrong end of a pipe
    path = tmp_path / "database"
    path.write_text("precious")
    reading, writing = os.pipe()
    with path.open("r+") as file:
        # When a variable of another time names them, then nobody writes there
        for text in (str(file.fileno()), str(reading), "-1", "999999", "9" * 30, "x", ""):
            assert take_over({heartbeat.VARIABLE: text}) is None
    os.close(reading)
    os.close(writing)
    assert path.read_text() == "precious"
