"""The schema: migrations, `chatq db upgrade` and `chatq db current`, on SQLite and Postgres."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from chatq.errors import DatabaseError, DatabaseOutOfDate
from chatq.store import schema
from chatq.store.engine import create_engine
from chatq.store.tables import metadata
from tests.parts.command import Chatq
from tests.parts.engines import open_engine
from tests.parts.postgres import Postgres


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{revision}'")


# --- migrations ----------------------------------------------------------------------------------


def test_revision_of_the_code_is_that_of_the_newest_migration() -> None:
    script = ScriptDirectory(str(schema.MIGRATIONS))
    assert script.get_current_head() == schema.HEAD
    assert all(re.fullmatch(r"\d{4}", found.revision) for found in script.walk_revisions())


def test_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": schema.VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, metadata) == []


def test_migrations_make_the_same_sqlite_schema_as_the_code(tmp_path: Path) -> None:
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.sqlite3")
    schema.upgrade(migrated)
    created = create_engine(f"sqlite:///{tmp_path}/created.sqlite3")
    metadata.create_all(created)
    assert sqlite_schema(tmp_path / "migrated.sqlite3") == sqlite_schema(tmp_path / "created.sqlite3")
    migrated.dispose()
    created.dispose()


def sqlite_schema(path: Path) -> dict[str, set[str]]:
    """Return the lines of each object's SQL; the order of constraints in it means nothing."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {
        name: {line.strip(" ,\t") for line in sql.splitlines()} for name, sql in rows if name != schema.VERSION_TABLE
    }


def test_migrations_make_the_same_postgres_schema_as_the_code(postgres: Postgres) -> None:
    dumps = []
    for make in (schema.upgrade, metadata.create_all):
        name = postgres.create_database()
        engine = open_engine(postgres.url(name))
        make(engine)
        engine.dispose()
        dumps.append(postgres.dump_schema(name, without=schema.VERSION_TABLE))
        postgres.drop_database(name)
    migrated, created = dumps
    assert "CREATE TABLE public.messages" in migrated
    assert migrated == created


# --- upgrade, current, check ---------------------------------------------------------------------


def test_an_empty_database_is_brought_to_the_head(empty_engine: Engine) -> None:
    assert schema.current(empty_engine) == schema.Current(None)
    assert schema.upgrade(empty_engine) == (None, schema.HEAD)
    assert schema.current(empty_engine).is_up_to_date
    assert schema.upgrade(empty_engine) == (schema.HEAD, schema.HEAD)
    schema.check(empty_engine)


def test_a_database_without_tables_is_refused_with_the_remedy(empty_engine: Engine) -> None:
    with pytest.raises(DatabaseOutOfDate, match=r"no chatq tables.*`chatq db upgrade`"):
        schema.check(empty_engine)


def test_an_older_database_is_refused_with_both_revisions_and_the_remedy(engine: Engine) -> None:
    set_revision(engine, "0000")
    with pytest.raises(DatabaseOutOfDate, match=rf"0000.*{schema.HEAD}.*`chatq db upgrade`"):
        schema.check(engine)


def test_a_newer_database_is_refused_and_left_alone(engine: Engine) -> None:
    set_revision(engine, "9999")
    with pytest.raises(DatabaseOutOfDate, match=rf"9999.*{schema.HEAD}.*newer chatq"):
        schema.check(engine)
    with pytest.raises(DatabaseOutOfDate, match="9999"):
        schema.upgrade(engine)
    assert schema.current(engine).revision == "9999"


def test_tables_that_are_in_the_way_leave_the_database_as_it_was(empty_engine: Engine) -> None:
    with empty_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE lanes (mine INTEGER)")
    with pytest.raises(DatabaseError, match=r"lanes.*already exists"):
        schema.upgrade(empty_engine)
    assert sqlalchemy.inspect(empty_engine).get_table_names() == ["lanes"]


# --- the commands --------------------------------------------------------------------------------


def test_upgrade_and_current_say_what_they_did_and_found(chatq: Chatq, database_url: str) -> None:
    env = {"DATABASE_URL": database_url}

    before = chatq("db", "current", env=env)
    assert before.returncode == 4
    assert before.stdout == f"revision none\nhead {schema.HEAD}\n"
    assert "`chatq db upgrade`" in before.stderr

    first = chatq("db", "upgrade", env=env)
    assert (first.returncode, first.stdout) == (0, "")
    assert schema.HEAD in first.stderr
    assert "s3cret" not in first.stderr

    second = chatq("db", "upgrade", "--json", env=env)
    assert second.returncode == 0
    assert json.loads(second.stdout) == {"from": schema.HEAD, "to": schema.HEAD}

    after = chatq("db", "current", "--json", env=env)
    assert after.returncode == 0
    assert json.loads(after.stdout) == {"revision": schema.HEAD, "head": schema.HEAD, "upToDate": True}


def test_many_upgrades_at_once_all_succeed(chatq: Chatq, database_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(lambda _: chatq("db", "upgrade", "--json", env={"DATABASE_URL": database_url}), range(6)))
    assert [end.returncode for end in ends] == [0] * 6, [end.stderr for end in ends]
    assert sorted(json.loads(end.stdout)["from"] is None for end in ends) == [False] * 5 + [True]


def test_without_settings_the_database_is_a_file_in_the_private_data_directory(chatq: Chatq, tmp_path: Path) -> None:
    assert chatq("db", "upgrade").returncode == 0
    assert (tmp_path / "data" / "chatq.sqlite3").exists()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def one_line_of(end: subprocess.CompletedProcess[str]) -> str:
    assert end.returncode == 4, end.stderr
    assert end.stdout == ""
    line, *rest = end.stderr.splitlines()
    assert not rest, end.stderr
    return line


def test_a_postgres_that_is_not_there_is_one_clear_line(chatq: Chatq) -> None:
    line = one_line_of(
        chatq.run_forked("db", "upgrade", env={"DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:1/chatq"})
    )
    assert "refused" in line
    assert "postgresql://me:***@127.0.0.1:1/chatq" in line


def test_a_wrong_password_is_one_clear_line(chatq: Chatq, postgres: Postgres) -> None:
    line = one_line_of(
        chatq.run_forked("db", "upgrade", env={"DATABASE_URL": postgres.url("postgres", password="wr0ng")})
    )
    assert "password authentication failed" in line
    assert "wr0ng" not in line


def test_a_postgres_database_that_does_not_exist_is_one_clear_line(chatq: Chatq, postgres: Postgres) -> None:
    line = one_line_of(chatq.run_forked("db", "current", env={"DATABASE_URL": postgres.url("nowhere")}))
    assert 'database "nowhere" does not exist' in line


def test_a_file_that_is_no_database_is_one_clear_line(chatq: Chatq, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    line = one_line_of(chatq.run_forked("db", "upgrade", env={"DATABASE_URL": f"sqlite:///{tmp_path}/notes.txt"}))
    assert "file is not a database" in line
    assert "notes.txt" in line


def test_a_directory_that_does_not_exist_is_one_clear_line(chatq: Chatq, tmp_path: Path) -> None:
    line = one_line_of(
        chatq.run_forked("db", "upgrade", env={"DATABASE_URL": f"sqlite:///{tmp_path}/none/chatq.sqlite3"})
    )
    assert "unable to open database file" in line
    assert f"{tmp_path}/none/chatq.sqlite3" in line


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(chatq: Chatq, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    end = chatq.run_forked("db", "upgrade", env={"CHATQ_DATA_DIR": str(tmp_path / "taken")})
    assert end.returncode in (2, 4)
    assert "taken" in end.stderr
    assert len(end.stderr.splitlines()) == 1


def test_a_directory_that_is_not_writable_is_one_clear_line(chatq: Chatq) -> None:
    end = chatq.run_forked("db", "upgrade", env={"CHATQ_DATA_DIR": "/proc/chatq"})
    assert end.returncode in (2, 4)
    assert "/proc/chatq" in end.stderr
    assert len(end.stderr.splitlines()) == 1


def test_a_user_who_may_not_create_tables_gets_one_clear_line(
    chatq: Chatq, postgres: Postgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    line = one_line_of(chatq.run_forked("db", "upgrade", env={"DATABASE_URL": postgres_url}))
    assert "permission denied for schema public" in line
