"""Every setting of the server, in one typed place.

A value comes from, strongest first: a flag of `sagehold serve`, the environment (`SAGEHOLD_PORT=9000`), the YAML
file named by `SAGEHOLD_CONFIG` (the same names in lower case, without the prefix), the default here.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AnyHttpUrl, Field, PrivateAttr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from server.sizes import Size, is_size, show_size

PREFIX = "SAGEHOLD_"
DATABASES = ("sqlite+aiosqlite:///", "postgresql+asyncpg://")
LIMITS = ("memory://", "redis://", "rediss://", "redis+unix://", "unix://")


Source = Literal["flag", "environment", "file", "default"]
"""Where the value of a setting comes from."""


class SettingsError(Exception):
    """A setting is wrong. The message names each one and what is allowed; it is written for the operator."""


HOST = re.compile(r"(?:[^\W][\w.-]*|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)(?::[0-9]{1,5})?")
"""A host as URLs have it, and a port."""


class Settings(BaseSettings):
    """Frozen; built once by `load_settings` and passed in. Sizes are bytes, or written as 1GiB; times are seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # -- where
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: AnyHttpUrl | None = Field(
        None, description="base URL that clients see, behind a proxy; image URLs begin with it"
    )
    public_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="names under which clients reach the server besides its address and localhost, comma-separated; to "
        "others, without `public_url`, image URLs are paths",
    )
    models_dir: Path = Field(Path("models"), description="folder of the models' weights")
    model_configs: Path = Field(Path("model_configs"), description="folder of the models' YAML files")
    data_dir: Path = Field(Path("data"), description="folder for the database, generated images and state")
    database_url: str | None = Field(
        None,
        description="sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/NAME; default: in data_dir",
    )

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses and networks of proxies whose X-Forwarded-For is believed, comma-separated; "
        "none by default",
    )

    # -- who
    auth: Literal["keys", "off"] = Field(
        "keys", description="keys: every API call needs an API key; off: everyone may call (trusted networks only)"
    )
    limits_url: str = Field(
        "memory://", description="where rate limits are counted: memory://, or redis://host:port/db for several servers"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins whose pages may call the API, comma-separated; none by default"
    )

    pages: Literal["on", "off"] = Field("on", description="the playground and the console for browsers: on or off")

    # -- models
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="serve only these, models or public names, comma-separated; default: all that are installed"
    )
    host_memory: Size | None = Field(
        None, gt=0, description="bytes of host memory that models and front end may take; default: 85% of the machine's"
    )
    gpu_memory: Size | None = Field(
        None, ge=0, description="bytes of memory that the models may take of each GPU; default: 90% of it"
    )
    load_timeout: float = Field(900.0, gt=0, description="longest time a model may take to load")
    hang_timeout: float = Field(
        7.0, ge=1, description="seconds without a sign of life after which a model's process is ended and replaced"
    )
    step_timeout: float = Field(
        300.0, ge=1, description="seconds that a model may compute at one step of its work before it counts as hung"
    )
    queue_timeout: float = Field(
        60.0,
        gt=0,
        description="longest wait for room for a model before 503 is answered; a load under way has `load_timeout`",
    )

    # -- limits on requests
    max_body: Size = Field(20 * 2**20, gt=0, description="largest JSON body in bytes; more is answered 413")
    max_upload: Size = Field(
        25 * 2**20,
        gt=0,
        description="largest upload in bytes, of audio or of a request's pictures; more is answered 413",
    )
    body_timeout: float = Field(
        60.0, gt=0, description="seconds a body may take to arrive, and one more for each 16 KiB; then 408"
    )
    reader_timeout: float = Field(
        60.0,
        gt=0,
        description="seconds a client may leave its answer untaken, and one more for each 16 KiB; then it is cut off",
    )
    max_connections: int = Field(4096, gt=0, description="most open connections; one more is answered 503 and closed")
    max_image_input: Size = Field(
        10 * 2**20, gt=0, description="largest image input in bytes, uploaded or decoded from its data URI"
    )
    max_image_pixels: int = Field(25_000_000, gt=0, description="most pixels of an image input")
    max_image_inputs: int = Field(32, gt=0, description="most image inputs in a request's messages")
    max_audio_input: Size = Field(
        10 * 2**20, gt=0, description="largest audio input of a chat in bytes, decoded from its base64"
    )
    max_audio_inputs: int = Field(8, gt=0, description="most audio inputs in a request's messages")
    image_input_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="hosts from which image_url and audio_url parts may come, comma-separated; none by default",
    )

    # -- generated images
    image_response_format: Literal["url", "b64_json", "both"] = Field(
        "url", description="form of generated images where the client asked for none"
    )
    image_url_ttl: float = Field(3600.0, gt=0, description="seconds that a generated image's URL lives")
    image_store_max: Size = Field(2 * 2**30, gt=0, description="most bytes of generated images kept; oldest go first")

    # -- files, responses and batches
    max_file: Size = Field(512 * 2**20, gt=0, description="largest file in bytes of /v1/files; more is answered 413")
    max_account_files: Size = Field(
        10 * 2**30, gt=0, description="bytes of files that an account may keep; more are answered 413"
    )
    response_ttl: float = Field(
        30 * 86400.0,
        gt=0,
        description="seconds that responses and conversations are kept after they were last added to",
    )
    max_account_responses: Size = Field(
        2**30, gt=0, description="bytes of responses and conversations that an account keeps; the oldest go first"
    )
    encrypt_responses: bool = Field(
        False,
        description="encrypt kept responses and conversations, by a key that is drawn from data_dir's keys.secret",
    )
    batch_price_factor: float = Field(
        0.5, ge=0, le=10, description="what requests of a batch cost, as a part of their price"
    )
    max_batch_lines: int = Field(50_000, gt=0, description="most requests in a batch's input file")
    max_batch_file: Size = Field(200_000_000, gt=0, description="largest input file of a batch in bytes")
    max_account_batches: int = Field(
        100, gt=0, description="batches of an account that are not done yet; more are answered 429"
    )

    # -- knowledge
    embedding_model: str | None = Field(
        None, description="model that new datasets are made with; default: the first embedding model that is installed"
    )
    rerank_model: str | None = Field(
        None,
        description="model that puts what was found in order once more, for datasets that want it; none by default",
    )
    max_document: Size = Field(
        100 * 2**20, gt=0, description="largest document in bytes that a dataset takes; more is answered 413"
    )
    max_waiting_documents: int = Field(
        1000, gt=0, description="documents of one account that wait to be ingested; more are answered 429"
    )
    max_waiting_bytes: Size = Field(
        2 * 2**30,
        gt=0,
        description="bytes of one account's documents that wait to be ingested, or failed; more are answered 429",
    )
    document_timeout: float = Field(
        300.0,
        gt=0,
        description="seconds that a document may take to be read, before it is embedded; then it has failed",
    )
    document_memory: Size = Field(
        2**30,
        ge=16 * 2**20,
        description="bytes of memory that the reading of a document may take; then it has failed",
    )
    vector_memory: Size = Field(
        512 * 2**20,
        gt=0,
        description="bytes of datasets' vectors that are kept in memory; what exceeds it is read anew",
    )
    personas: Path | None = Field(None, description="folder of personas as YAML files; none by default")

    # -- live search
    searxng_url: AnyHttpUrl | None = Field(
        None, description="base URL of the SearXNG instance that `live` asks; none by default"
    )
    zim_dir: Path | None = Field(
        None, description="folder of ZIM archives that `live` searches where there is no SearXNG; none by default"
    )
    live_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="hosts whose pages `live: 2` may fetch, comma-separated, * for all public ones; none by default",
    )

    # -- the Ask Sage dialect
    asksage_strict_status: bool = Field(
        False, description="errors of /server and /user by HTTP status, rather than 200 with a status in the body"
    )
    asksage_model: str | None = Field(
        None, description="what the model name openai_gpt stands for; default: the first chat model"
    )
    asksage_echo_files: bool = Field(
        False, description="begin answers to questions with a file by the file's text, as the Ask Sage service does"
    )
    asksage_keep_prompts: bool = Field(
        False, description="keep questions and answers for get-user-logs, and not their tokens alone"
    )

    # -- the end
    shutdown_grace: float = Field(
        45.0,
        ge=0,
        description="seconds that running answers have to end after SIGTERM; 15 s later the process is gone",
    )

    # -- logs
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error: the least of what is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="text: for people; json: an object a line")
    otlp_endpoint: AnyHttpUrl | None = Field(
        None, description="base URL of the OpenTelemetry collector that gets traces by HTTP; none are made by default"
    )

    _sources: dict[str, Source] = PrivateAttr(default_factory=dict)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is None or value.startswith(DATABASES):
            if value is not None and value.partition("?")[0] in (DATABASES[0], f"{DATABASES[0]}:memory:"):
                raise PydanticCustomError("url", "name a file: sqlite+aiosqlite:///PATH")
            return value
        scheme = value.partition(":")[0]
        kind = next((known for known in DATABASES if known.startswith(scheme.partition("+")[0][:6])), None)
        hint = f"begin it with {kind}" if kind else f"it begins with {' or '.join(DATABASES)}"
        raise PydanticCustomError("url", "{hint}, not with {scheme}:", {"hint": hint, "scheme": scheme[:40]})

    @field_validator("limits_url")
    @classmethod
    def _known_limits(cls, value: str) -> str:
        if value.startswith(LIMITS):
            return value
        scheme = value.partition(":")[0][:40]
        raise PydanticCustomError(
            "url", "it begins with one of {known}, not with {scheme}:", {"known": ", ".join(LIMITS), "scheme": scheme}
        )

    @field_validator(
        "cors_origins", "models", "image_input_hosts", "public_hosts", "trusted_proxies", "live_hosts", mode="before"
    )
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("image_input_hosts", "live_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Whatever else is there would match no host, and nobody would be told.
        for one in value:
            if one != "*" and not HOST.fullmatch(one):
                raise PydanticCustomError(
                    "host",
                    "{one} is no host: write example.com, example.com:8443, or * alone for every public one",
                    {"one": one[:100]},
                )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ipaddress.ip_network(one)
            except ValueError as error:
                raise PydanticCustomError("network", "no address or network: {why}", {"why": str(error)}) from None
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = os.environ.get(f"{PREFIX}CONFIG")
        if path is None:
            return init_settings, env_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=path)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in effect."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'sagehold.db'}"

    def source(self, name: str) -> Source:
        """Where the value of a setting comes from, as `load_settings` found it."""
        return self._sources.get(name, "flag" if name in self.model_fields_set else "default")


SECRETS = r"\w*(?:password|passwd|passfile|secret|token|credential|api_?key)\w*|pwd|key|auth|sig(?:nature)?"
"""Names of URL parameters whose values nobody is shown."""


def without_password(url: str) -> str:
    """The URL with stars for its password: of user:password@host, up to the last @, or among its parameters.

    What stands alone before the @ of a web address is a token.
    """
    url = re.sub(r"(://[^:@/?]*):.*@", r"\1:***@", url, count=1)
    url = re.sub(r"^(https?://)[^:@/?#]+@", r"\1***@", url, flags=re.IGNORECASE)
    return re.sub(rf"([?&;](?:{SECRETS})=)[^&;]*", r"\1***", url, flags=re.IGNORECASE)


def as_written(field: FieldInfo, value: object, *, secrets: bool = False) -> str:
    """A setting's value as it would be written in the environment. secrets: with the passwords in URLs."""
    if isinstance(value, int) and is_size(field):
        return show_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    text = ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    return text if secrets else without_password(text)


def load_settings(**flags: Any) -> Settings:
    """Build the settings from flags (None means not given), environment and file.

    Raises SettingsError: one line for each wrong or unknown setting, with its name and what is allowed.
    """
    problems = _unknown_variables()
    path = os.environ.get(f"{PREFIX}CONFIG")
    if path is not None:
        problems += _unreadable(Path(path))
    if not problems:
        try:
            given = {name: value for name, value in flags.items() if value is not None}
            settings = Settings(**given)
            settings._sources.update(_sources(given, path))
            return settings
        except ValidationError as error:
            problems = [_describe(detail) for detail in error.errors()]
    raise SettingsError("\n".join(problems))


def _sources(flags: Mapping[str, Any], path: str | None) -> dict[str, Source]:
    """Where the value of each setting comes from, strongest first. path: of the settings file."""
    filed = yaml.safe_load(Path(path).read_text(encoding="utf-8")) if path is not None else None
    environment = {name.upper() for name in os.environ}
    found: dict[str, Source] = {}
    for name in Settings.model_fields:
        if name in flags:
            found[name] = "flag"
        elif f"{PREFIX}{name.upper()}" in environment:
            found[name] = "environment"
        else:
            found[name] = "file" if name in (filed or {}) else "default"
    return found


def _unreadable(file: Path) -> list[str]:
    """What is wrong with the settings file as a file."""
    if not file.is_file():
        return [f"{PREFIX}CONFIG: there is no file {file.absolute()}"]
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"{PREFIX}CONFIG: {file.absolute()} is not YAML: {' '.join(str(error).split())}"]
    if not isinstance(values, dict | None):
        return [f"{PREFIX}CONFIG: {file.absolute()} must hold settings as `name: value`, one a line"]
    return []


def _unknown_variables() -> list[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}CONFIG"}
    problems = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            problems.append(f"{name}: there is no such setting{hint}")
    return problems


def _describe(detail: Any) -> str:
    field = str(detail["loc"][0]) if detail["loc"] else "settings"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, Settings.model_fields, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{field}: there is no such setting{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "url" or (detail["type"].startswith("url") and "@" in str(detail["input"])):
        return f"{PREFIX}{field.upper()}: {message}"  # the value may hold a password
    return f"{PREFIX}{field.upper()}: {message}, not {detail['input']!r}"
