"""WHERE the Prefect server and worker of `lamplighter up` are: of its own, for no run has to know it."""

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.settings import Settings
from retrieval.errors import ServerError
from storage.layout import Home

EVERYWHERE = {"0.0.0.0", "::"}
ASYNC_DRIVER = "postgresql+asyncpg://"


class ServerSettings(BaseSettings):
    """Each field is an option of `lamplighter up` or an environment variable, `LAMPLIGHTER_` before its name."""

    model_config = SettingsConfigDict(env_prefix="LAMPLIGHTER_", extra="ignore", frozen=True)

    home: Path | None = Field(default=None, description="folder of the server; <lake>/prefect if not set")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=4200, ge=1, le=65535, description="port to listen on")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/name; SQLite in the home if not set"
    )

    @classmethod
    def given(cls, **options: object) -> "ServerSettings":
        """The settings with the options that were given; the environment and the defaults fill the rest.

        Raises:
            ServerError: naming the variables that are wrong, never what they hold.
        """
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            faults = "; ".join(
                f"LAMPLIGHTER_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()
            )
            raise ServerError(f"the server's settings are wrong: {faults}. Mend the variable or the option.") from None

    def place(self, settings: Settings) -> Home:
        """The home folder.

        Raises:
            ServerError: when its path would be read as a pattern by the supervisor.
        """
        root = (self.home or settings.place.prefect).expanduser().absolute()
        if "%" in str(root):
            raise ServerError(f"the home {root} has a % in its path, which supervisord expands. Name another: --home.")
        return Home(root)

    @property
    def address(self) -> str:
        """Where it is reached from this machine."""
        host = "127.0.0.1" if self.host in EVERYWHERE else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.address}/api"

    @property
    def database(self) -> str:
        """What kind it is, without who may use it."""
        return "PostgreSQL" if self.database_url else "SQLite"

    def connection(self) -> str | None:
        """The database's address with the driver that Prefect needs.

        Raises:
            ServerError: when it is of another kind; the address itself is not repeated.
        """
        if self.database_url is None:
            return None
        url = self.database_url.get_secret_value()
        for prefix in ("postgresql://", "postgres://", ASYNC_DRIVER):
            if url.startswith(prefix):
                return ASYNC_DRIVER + url.removeprefix(prefix)
        raise ServerError(
            "LAMPLIGHTER_DATABASE_URL names no PostgreSQL server. Write postgresql://user:password@host:5432/name, "
            "or leave it out for SQLite in the home."
        )

    def asked(self, settings: Settings) -> dict[str, Any]:
        """What a server is started with, without secrets: what a second `up` is compared with."""
        return {"host": self.host, "port": self.port, "database_url": self.database} | _whereabouts(settings)

    def environment(self, home: Home, settings: Settings) -> dict[str, str]:
        """What the supervisor, the server, the worker and its runs find in their environment."""
        said = {name.upper(): value for name, value in _whereabouts(settings).items() if value is not None}
        ours = {f"LAMPLIGHTER_{name}": value for name, value in said.items()} | {
            "LAMPLIGHTER_HOME": str(home.root),
            "LAMPLIGHTER_HOST": self.host,
            "LAMPLIGHTER_PORT": str(self.port),
        }
        prefect = {
            "PREFECT_HOME": str(home.root),
            "PREFECT_API_URL": self.api,
            "PREFECT_LOGGING_TO_API_ENABLED": "true",  # the command line that starts it all keeps its own log to itself
        }
        if self.host in EVERYWHERE:  # pages ask where they came from, whatever this machine is called there
            prefect["PREFECT_SERVER_UI_API_URL"] = "/api"
        if connection := self.connection():
            prefect["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = connection
        defaults = {
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_WORKER_QUERY_SECONDS": "5",
            # How long the place of a run is kept whose worker was killed before it began; a run that began renews it.
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "120",
            "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "10",
        }
        inherited = {k: v for k, v in os.environ.items() if k != "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}
        return defaults | inherited | prefect | ours


def _whereabouts(settings: Settings) -> dict[str, Any]:
    """Where the runs find things: runs start in another folder, so paths are whole."""
    recipe = Path(settings.recipe).expanduser()
    return {
        "lake": str(settings.place.root),
        "landing": _whole(settings.landing),
        "releases": _whole(settings.releases),
        "recipe": str(recipe.absolute()) if recipe.is_file() else settings.recipe,
    }


def _whole(place: str | None) -> str | None:
    return place if place is None or "://" in place else str(Path(place).expanduser().absolute())
