"""Settings: which of three sources wins, what is refused, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from chatq.domain.rate import Rate
from chatq.errors import BadSetting
from chatq.settings import VARIABLES, Settings, load, without_password

HERE = Path("/somewhere")


def settings(environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> Settings:
    return load(flags, environ or {}, directory=HERE, terminal=False)


def refusal(**environ: str) -> str:
    """What is said of these settings; empty if they can be used."""
    try:
        make_url(settings(environ).database_url)
    except BadSetting as error:
        return str(error)
    return ""


# --- where a value comes from --------------------------------------------------------------------


def test_with_nothing_set_the_defaults_of_the_contract_hold() -> None:
    assert settings() == Settings(
        redis_url=None,
        database_url="sqlite:////somewhere/.chatq/chatq.sqlite3",
        data_dir=HERE / ".chatq",
        host="127.0.0.1",
        port=8000,
        api_workers=1,
        lanes=8,
        jwt_secret=None,
        jwt_jwks_url=None,
        jwt_audience=None,
        allowed_origins=(),
        durability=None,
        max_content_bytes=16384,
        max_queue_depth=1_000_000,
        rate_limit=None,
        log_format="json",
        log_level="INFO",
    )


def test_a_dot_env_file_beats_the_environment_and_a_flag_beats_both(tmp_path: Path) -> None:
    # Given a port from the environment, another from .env, and a third from a flag
    (tmp_path / ".env").write_text("CHATQ_PORT=8002\nexport CHATQ_LANES='4' # comment\n")
    environ = {"CHATQ_PORT": "8001", "CHATQ_LANES": "3", "CHATQ_HOST": "192.0.2.1"}
    # When settings are loaded without and with the flag
    without = load({"CHATQ_PORT": None}, environ, directory=tmp_path)
    with_flag = load({"CHATQ_PORT": 8003}, environ, directory=tmp_path)
    # Then the later source wins each time
    assert (without.port, without.lanes, without.host) == (8002, 4, "192.0.2.1")
    assert with_flag.port == 8003


def test_an_empty_value_in_dot_env_undoes_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=\n")
    assert load({}, {"REDIS_URL": "redis://elsewhere"}, directory=tmp_path).redis_url is None


def test_dot_env_keeps_a_password_with_dollars_and_hashes_in_quotes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_PASSWORD='pa$$w#rd'\n")
    assert load({}, {}, directory=tmp_path).redis_url == "redis://:pa%24%24w%23rd@localhost:6379/0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"CHATQ_PORT=1\nthis is not a line\n", "line 2"),
        (b"CHATQ_PORT='1\n", "line 1"),
        (b"CHATQ_PORT=\xff\n", "UTF-8"),
    ],
)
def test_a_dot_env_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(BadSetting, match=said) as caught:
        load({}, {}, directory=tmp_path)
    assert str(tmp_path / ".env") in str(caught.value)


def test_a_directory_called_dot_env_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(BadSetting, match="cannot be read"):
        load({}, {}, directory=tmp_path)


def test_the_log_is_for_people_on_a_terminal() -> None:
    assert load({}, {}, directory=HERE, terminal=True).log_format == "console"
    assert load({}, {"CHATQ_LOG_FORMAT": "JSON"}, directory=HERE, terminal=True).log_format == "json"


# --- Redis ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_PORT": "6380"}, "redis://localhost:6380/0"),
        ({"REDIS_HOST": "::1", "REDIS_PASSWORD": "a/b@c:d "}, "redis://:a%2Fb%40c%3Ad%20@[::1]:6379/0"),
        ({"REDIS_URL": "rediss://u:p@h:1/2?ssl_cert_reqs=none"}, "rediss://u:p@h:1/2?ssl_cert_reqs=none"),
        ({"REDIS_URL": "unix:///run/valkey.sock"}, "unix:///run/valkey.sock"),
        # Kubernetes sets REDIS_PORT like this for a service that is called redis.
        ({"REDIS_URL": "redis://h", "REDIS_PORT": "tcp://10.0.0.1:6379"}, "redis://h"),
    ],
)
def test_redis_is_named_by_a_url_or_by_three_simple_variables(environ: dict[str, str], url: str) -> None:
    assert settings(environ).redis_url == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://h:26379/mymaster", "redis+sentinel:// is not supported"),
        ("redis+cluster://h:6379", "redis+cluster:// is not supported"),
        ("http://h", "redis://, rediss:// or unix://"),
        ("localhost:6379", "redis://, rediss:// or unix://"),
        ("redis://h:port", "no URL"),
        ("redis://h:70000", "no URL"),
        ("redis://h:0", "from 1 to 65535"),
        ("redis://[::1", "no URL"),
        ("redis://h/zero", "number of a database"),
        ("redis://u:p#x@h", "percent-encoded"),
        ("redis://a b", "white space"),
        ("unix://", "absolute path"),
    ],
)
def test_a_redis_url_that_cannot_be_used_is_refused_in_words(url: str, said: str) -> None:
    message = refusal(REDIS_URL=url)
    assert message.startswith("REDIS_URL is ")
    assert said in message


# --- the database --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("sqlite:///chat.db", "sqlite:////somewhere/chat.db"),
        ("sqlite:///../chat.db", "sqlite:////chat.db"),
        ("sqlite:////var/lib/chat.db", "sqlite:////var/lib/chat.db"),
        ("postgres://u:p@h/db", "postgresql+psycopg://u:p@h/db"),
        ("postgresql://h:5433/db?sslmode=require", "postgresql+psycopg://h:5433/db?sslmode=require"),
        ("postgresql+psycopg://h/db", "postgresql+psycopg://h/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql+psycopg:///db?host=/run/postgresql"),
    ],
)
def test_database_urls_become_those_of_sqlalchemy(given_url: str, url: str) -> None:
    assert settings({"DATABASE_URL": given_url}).database_url == url
    make_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://h/db", "sqlite:///, postgresql:// or postgres://"),
        ("chat.db", "sqlite:///, postgresql:// or postgres://"),
        ("sqlite:chat.db", "sqlite:///, postgresql:// or postgres://"),
        ("sqlite://", "a file is needed"),
        ("sqlite://chat.db", "a file is needed"),
        ("sqlite:///:memory:", "a file is needed"),
        ("sqlite:///", "a file is needed"),
        ("sqlite:////var/lib/", "a file is needed"),
        ("postgresql://h:port/db", "no URL"),
        ("postgresql://h/db/more", "name of a database"),
    ],
)
def test_a_database_url_that_cannot_be_used_is_refused_in_words(url: str, said: str) -> None:
    message = refusal(DATABASE_URL=url)
    assert message.startswith("DATABASE_URL is ")
    assert said in message


# --- tokens --------------------------------------------------------------------------------------

KEY = "k" * 32


def test_tokens_are_asked_for_as_soon_as_there_is_a_key_for_them() -> None:
    assert not settings().asks_for_tokens
    assert settings({"CHATQ_JWT_SECRET": KEY}).asks_for_tokens
    got = settings({"CHATQ_JWT_JWKS_URL": "https://id.example/keys?a=b", "CHATQ_JWT_AUDIENCE": "chat"})
    assert got.asks_for_tokens
    assert (got.jwt_secret, got.jwt_jwks_url, got.jwt_audience) == (None, "https://id.example/keys?a=b", "chat")


def test_an_audience_without_a_key_is_not_taken_for_authentication() -> None:
    assert "CHATQ_JWT_SECRET or" in refusal(CHATQ_JWT_AUDIENCE="chat")


def test_a_secret_is_taken_as_it_is_and_never_shown() -> None:
    got = settings({"CHATQ_JWT_SECRET": f" {KEY} "})
    assert got.jwt_secret == f" {KEY} "
    assert KEY not in repr(got)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("s3cret" * 5, "32 bytes"),
        ("s3cret-ä\udcff" * 5, "UTF-8"),
        ("-----BEGIN PUBLIC KEY-----\ns3cret\n-----END PUBLIC KEY-----", "CHATQ_JWT_JWKS_URL"),
        ("ssh-rsa s3cret" * 5, "CHATQ_JWT_JWKS_URL"),
        ('{"kty": "oct", "k": "s3cret-s3cret-s3cret"}', "CHATQ_JWT_JWKS_URL"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str, said: str) -> None:
    message = refusal(CHATQ_JWT_SECRET=secret)
    assert message.startswith("CHATQ_JWT_SECRET is ***: ")
    assert said in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]/keys", "https://id.example:1/k/e/y"]
)
def test_keys_come_from_afar_by_https_or_from_this_machine(url: str) -> None:
    assert settings({"CHATQ_JWT_JWKS_URL": url}).jwt_jwks_url == url


@pytest.mark.parametrize(
    "url",
    ["http://id.example/keys", "http://localhost.example/", "https://", "https:///keys", "file:///keys", "id.example"],
)
def test_keys_that_anybody_could_have_changed_are_refused(url: str) -> None:
    assert "https://" in refusal(CHATQ_JWT_JWKS_URL=url)


# --- the rest ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHATQ_PORT", "0", "from 1 to 65535"),
        ("CHATQ_PORT", "8000x", "from 1 to 65535"),
        ("CHATQ_PORT", "٨", "from 1 to 65535"),
        ("CHATQ_PORT", "9" * 5000, "from 1 to 65535"),
        ("CHATQ_HOST", "http://h", "without port"),
        ("CHATQ_API_WORKERS", "-1", "from 0 to 1024"),
        ("CHATQ_LANES", "4097", "from 1 to 4096"),
        ("CHATQ_ALLOWED_ORIGINS", "*", "origins such as"),
        ("CHATQ_ALLOWED_ORIGINS", "https://a.example/path", "origins such as"),
        ("CHATQ_DURABILITY", "disk", "memory, aof or replica"),
        ("CHATQ_MAX_CONTENT_BYTES", "0", "from 1 to 1048576"),
        *(
            ("CHATQ_RATE_LIMIT", value, "20/s, 600/m or 5000/h")
            for value in ("0", "0/m", "-1/s", "1000001", "1.5/s", "20/d", "20 /s", "20/", "/s", "fast", "9" * 5000)
        ),
        ("CHATQ_LOG_FORMAT", "xml", "console or json"),
        ("CHATQ_LOG_LEVEL", "loud", "or critical"),
        ("CHATQ_DATA_DIR", "a?b", "a path without"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379", "from 1 to 65535"),
        ("REDIS_HOST", "h:6379", "without port"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: str, said: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name} is ")
    assert said in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("value", "rate"),
    [("20/s", Rate(20, 1)), ("20", Rate(20, 1)), (" 600/m ", Rate(600, 60)), ("1000000/h", Rate(1_000_000, 3600))],
)
def test_a_rate_is_so_many_in_a_while(value: str, rate: Rate) -> None:
    assert settings({"CHATQ_RATE_LIMIT": value}).rate_limit == rate


def test_a_bad_flag_is_called_by_its_flag() -> None:
    with pytest.raises(BadSetting, match=r"^--port \(CHATQ_PORT\) is 'x': "):
        settings(flags={"CHATQ_PORT": "x"})


def test_origins_are_those_that_browsers_send() -> None:
    given_list = (
        " https://Chat.example , http://localhost:3000/,https://chat.example:443,http://chat:80,https://chat:80"
    )
    assert settings({"CHATQ_ALLOWED_ORIGINS": given_list}).allowed_origins == (
        "https://chat.example",
        "http://localhost:3000",
        "http://chat",
        "https://chat:80",
    )


def test_addresses_and_directories_are_brought_into_one_form() -> None:
    got = settings({"CHATQ_HOST": "[::1]", "CHATQ_DATA_DIR": "a/../b", "CHATQ_LOG_LEVEL": "debug"})
    assert (got.host, got.data_dir, got.log_level) == ("::1", HERE / "b", "DEBUG")


def test_the_table_names_each_variable_once() -> None:
    names = [variable.name for variable in VARIABLES]
    assert len(names) == len(set(names)) == 20


# --- secrets and hostile values ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@h:6379/0", "redis://:***@h:6379/0"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("postgresql+psycopg://u:s3cret@h/db", "postgresql+psycopg://u:***@h/db"),
        ("postgresql://u:s3cr/e?t@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?user=u&password=s3cret&sslmode=require", None),
        ("redis://u:s3cret", "redis://u:***"),
        ("u:s3cret@h", "u:***@h"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=1"),
        ("sqlite:////var/lib/chat.db", "sqlite:////var/lib/chat.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str | None) -> None:
    assert "s3cr" not in without_password(url)
    if shown is not None:
        assert without_password(url) == shown


@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL"])
@pytest.mark.parametrize("tail", ["@h:x/0", "@h/a/b/c", "/@h", "?@h", "#@h", "@h:99999", "", "@[::1", " @h"])
def test_no_refusal_shows_a_password(name: str, tail: str) -> None:
    scheme = "redis" if name == "REDIS_URL" else "postgresql"
    assert "s3cret" not in refusal(**{name: f"{scheme}://user:s3cret{tail}"})


@given(name=st.sampled_from([v.name for v in VARIABLES]), value=st.text(max_size=60))
def test_whatever_a_variable_contains_is_used_or_refused(name: str, value: str) -> None:
    message = refusal(**{name: value})
    assert not message or name in message


@given(
    st.from_regex(
        r"(postgres|postgresql|sqlite|redis)://([a-z]{0,3}(:[a-z%/@]{0,3})?@)?[a-z0-9.:,\[\]]{0,6}(/[a-z/]{0,4})?(\?[a-z=&]{0,5})?",
        fullmatch=True,
    )
)
def test_what_looks_like_a_url_is_used_or_refused(url: str) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        message = refusal(**{name: url})
        assert not message or message.startswith(name)
