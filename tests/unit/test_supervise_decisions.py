"""What the supervisor decides, replayed from histories: no process, no waiting."""

from __future__ import annotations

import pytest

from chatq.errors import ExitCode, RedisUnavailable
from chatq.supervise.death import Restarts, in_words
from chatq.supervise.role import Role
from chatq.supervise.supervisor import Supervisor
from tests.parts.play import Play

VALKEY = Role("valkey", ("valkey",), rank=2)
DB = Role("db", ("db",), once=True)
WORKER = Role("worker", ("worker",), rank=1)
API = Role("api", ("api",), rank=0)
WEB = Role("web", ("web",), rank=0, may_end=True)


# --- the start -----------------------------------------------------------------------------------


def test_the_next_role_starts_when_the_one_before_is_ready_or_has_ended() -> None:
    # Given a server that is not ready yet, and a task that everything else needs done
    answers = iter([False, False, True])
    server = Role("valkey", ("valkey",), ready=lambda: next(answers), ready_says="here")
    play = Play(server, DB, WORKER, API)
    # When time passes, then only the server has been started
    play.after(0)
    play.after(0.01)
    assert play.new_acts() == ["start valkey"]
    # When it is ready, then the task is started, and people are told
    play.after(0.02)
    assert play.new_acts() == ["start db"]
    assert play.said == ["here"]
    # When the task has ended with 0, then all others are started
    play.ends("db", 0)
    assert play.new_acts() == ["start worker", "start api"]
    assert play.supervisor.next_tick() is None


def test_questions_whether_a_role_is_ready_become_rarer_but_stay_frequent() -> None:
    play = Play(Role("api", ("api",), ready=lambda: False))
    pauses = []
    for _ in range(6):
        due = play.supervisor.next_tick()
        assert due is not None
        pauses.append(round(due - play.now, 3))
        play.after(due - play.now)
    assert pauses == [0.0, 0.01, 0.02, 0.04, 0.08, 0.1]


def test_people_are_told_once_what_takes_so_long() -> None:
    play = Play(Role("api", ("api",), ready=lambda: False))
    for _ in range(300):
        play.after(0.1)
    assert play.said == ["api is still not ready"]


def test_a_role_that_can_never_be_ready_ends_all_with_its_exit_code() -> None:
    def hopeless() -> bool:
        raise RedisUnavailable("no answer for 20 s")

    play = Play(Role("valkey", ("valkey",), ready=hopeless), API)
    play.after(0)
    assert play.new_acts() == ["start valkey", "term valkey"]
    assert play.said == ["no answer for 20 s"]
    assert play.supervisor.exit_code is ExitCode.REDIS


def test_a_task_that_fails_ends_all_with_its_exit_code_and_is_not_repeated() -> None:
    play = Play(VALKEY, DB, API, restarts=Restarts(5))
    play.ends("db", 4)
    assert play.new_acts() == ["start valkey", "start db", "term valkey"]
    play.ends("valkey", 0)
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.DATABASE


def test_a_program_that_does_not_exist_ends_all_in_one_line() -> None:
    play = Play(API)
    play.impossible.add("worker")
    play.supervisor = Supervisor((API, WORKER), play, play.said.append, lambda: play.now, Restarts())
    play.supervisor.begin()
    assert play.said == ["worker cannot be started: no such program"]
    assert play.acts[-1] == "term api"


# --- a death -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [(0, 1), (1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (130, 1), (-9, 1), (-2, 1), (-3, 1), (-4, 1)],
)
def test_a_death_ends_all_with_the_exit_code_of_the_contract(status: int, code: int) -> None:
    play = Play(VALKEY, WORKER, API)
    play.ends("worker", status)
    assert play.new_acts()[3:] == ["term api"]
    play.ends("api", 0)
    play.ends("valkey", 0)
    assert play.done()
    assert play.supervisor.exit_code == code


def test_a_death_is_named_with_its_status() -> None:
    play = Play(WORKER, API)
    play.ends("worker", -9)
    assert play.said == ["worker died: killed by SIGKILL; stopping everything"]
    assert in_words(3) == "exit status 3"
    assert in_words(-200) == "killed by signal 200"


def test_a_companion_that_ends_with_0_is_only_reported() -> None:
    play = Play(API, WEB)
    play.ends("web", 0)
    assert play.said == ["web ended with exit status 0"]
    assert play.new_acts() == ["start api", "start web"]
    assert not play.done()


def test_a_companion_that_fails_ends_all() -> None:
    play = Play(API, WEB)
    play.ends("web", 3)
    assert play.new_acts()[-1] == "term api"
    assert play.supervisor.exit_code is ExitCode.REDIS


def test_when_all_have_ended_with_0_and_may_the_whole_is_done() -> None:
    play = Play(WEB)
    play.ends("web", 0)
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.DONE


# --- restarts ------------------------------------------------------------------------------------


def test_a_dead_process_is_back_at_once_so_many_times() -> None:
    play = Play(API, restarts=Restarts(2))
    for _ in range(2):
        play.after(5)
        play.ends("api", 1)
    assert play.new_acts() == ["start api"] * 3
    play.after(5)
    play.ends("api", 2)
    assert play.said[-1] == "api died: exit status 2 after 2 restarts; stopping everything"
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.USAGE


def test_one_that_dies_within_a_second_waits_longer_each_time_up_to_5_seconds() -> None:
    play = Play(API, restarts=Restarts(20))
    waits = []
    for _ in range(6):
        play.ends("api", 1)
        due = play.supervisor.next_tick()
        assert due is not None
        waits.append(due - play.now)
        play.after(due - play.now - 0.001)
        assert play.new_acts()[1:] == []
        play.after(0.001)
        assert play.acts == ["start api"]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    # When it has lived for a second, then it is back at once, and the count of short lives begins anew
    play.new_acts()
    play.after(1)
    play.ends("api", 1)
    assert play.new_acts() == ["start api"]
    play.ends("api", 1)
    assert play.supervisor.next_tick() == play.now + 0.5


def test_each_process_has_restarts_of_its_own() -> None:
    play = Play(API, WORKER, restarts=Restarts(1))
    play.after(5)
    play.ends("api", 1)
    play.ends("worker", 1)
    assert play.new_acts() == ["start api", "start worker", "start api", "start worker"]


def test_a_process_that_waits_for_its_restart_does_not_come_back_into_an_end() -> None:
    play = Play(API, WORKER, restarts=Restarts(5))
    play.ends("api", 1)
    play.supervisor.asked_to_stop()
    play.after(10)
    play.ends("worker", 0)
    assert play.new_acts() == ["start api", "start worker", "term worker", "kill worker"]
    assert play.done()


def test_some_statuses_can_be_final() -> None:
    play = Play(API, WORKER, restarts=Restarts(None, final=frozenset({3})))
    for _ in range(50):
        play.after(2)
        play.ends("api", -9)
    assert play.new_acts()[-1] == "start api"
    play.ends("api", 3)
    assert play.supervisor.exit_code is ExitCode.REDIS


# --- the end -------------------------------------------------------------------------------------


def test_ranks_end_one_after_the_other_and_the_exit_code_is_0() -> None:
    # Given all roles
    play = Play(VALKEY, WORKER, WEB, API)
    play.new_acts()
    # When we are asked to stop, then what makes work is ended first
    play.supervisor.asked_to_stop()
    assert play.new_acts() == ["term web", "term api"]
    # Then workers when both have ended, however that was, then the store
    play.ends("api", 0)
    assert play.new_acts() == []
    play.ends("web", -15)
    assert play.new_acts() == ["term worker"]
    play.ends("worker", 1)
    assert play.new_acts() == ["term valkey"]
    assert not play.done()
    play.ends("valkey", 0)
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.DONE


def test_one_that_does_not_end_in_time_is_killed() -> None:
    play = Play(WORKER, API)
    play.supervisor.asked_to_stop()
    play.after(9.9)
    assert "kill api" not in play.acts
    assert play.supervisor.next_tick() == 110.0
    play.after(0.1)
    assert play.acts[-1] == "kill api"
    play.ends("api", -9)
    assert play.acts[-1] == "term worker"
    assert play.supervisor.next_tick() == 120.0


def test_a_second_wish_kills_everything_and_the_exit_code_is_1() -> None:
    play = Play(VALKEY, WORKER, API)
    play.supervisor.asked_to_stop()
    play.after(0.2)
    play.new_acts()
    play.supervisor.asked_to_stop()
    assert play.new_acts() == ["kill valkey", "kill worker", "kill api"]
    for name in ("valkey", "worker", "api"):
        play.ends(name, -9)
    assert play.done()
    assert play.supervisor.exit_code is ExitCode.FAILED


def test_one_wish_that_arrives_twice_is_one() -> None:
    # Given a terminal and a wrapper that both pass the same Ctrl-C on
    play = Play(API)
    play.supervisor.asked_to_stop()
    play.after(0.01)
    play.supervisor.asked_to_stop()
    assert play.new_acts() == ["start api", "term api"]


def test_asked_to_stop_while_a_death_ends_everything_keeps_its_exit_code() -> None:
    play = Play(API, WORKER)
    play.ends("api", 4)
    play.supervisor.asked_to_stop()
    play.ends("worker", 0)
    assert play.supervisor.exit_code is ExitCode.DATABASE


def test_asked_to_stop_before_all_have_started_starts_no_more() -> None:
    play = Play(Role("valkey", ("valkey",), ready=lambda: True), API)
    play.supervisor.asked_to_stop()
    play.after(1)
    play.ends("valkey", 0)
    assert play.new_acts() == ["start valkey", "term valkey"]
    assert play.done()
