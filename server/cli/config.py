"""`sagehold config`: are the settings and the model configs right, and what are they?"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from server.cli.fail import fail
from server.cli.output import print_table
from server.settings import PREFIX, Settings, SettingsError, as_written, load_settings

app = typer.Typer(help="Check the settings and the model configs.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings.", envvar=f"{PREFIX}CONFIG", dir_okay=False)
]


@app.command()
def check(
    config: ConfigFile = None,
    model_configs: Annotated[Path | None, typer.Option(help="Folder of the models' YAML files.")] = None,
) -> None:
    """Check every setting and every model config, the examples included. Exit code 2 if something is wrong.

    A configured model without its files is a warning, and wrong where SAGEHOLD_MODELS asks for it.

    Chat models are held against what the installed vLLM knows, which takes seconds. No model is loaded.
    """
    from server.core import Task
    from server.knowledge.live.search import LiveSearch
    from server.knowledge.persona_files import read_personas
    from server.models.config.catalog import Catalog, check_configs
    from server.models.config.check import look_closer
    from server.models.config.files import CatalogError
    from server.pipeline.inner_calls import chosen

    settings = read_settings(config, model_configs=model_configs)
    try:
        own = read_personas(settings.personas) if settings.personas is not None else {}
        LiveSearch.configured(settings)
    except SettingsError as error:
        fail(error)
    try:
        configs = check_configs(settings.model_configs)
        findings = look_closer(configs, settings.models_dir)
        problems = list(findings.problems)
        try:
            catalog = Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models)
            embeds = [entry.id for entry in catalog.public_models() if Task.EMBEDDING in entry.tasks]
            chosen(catalog, Task.EMBEDDING, f"{PREFIX}EMBEDDING_MODEL", settings.embedding_model)
            chosen(catalog, Task.CHAT, f"{PREFIX}ASKSAGE_MODEL", settings.asksage_model)
            chosen(catalog, Task.SCORE, f"{PREFIX}RERANK_MODEL", settings.rerank_model)
        except CatalogError as error:
            problems += error.problems
        if problems:
            raise CatalogError(problems)
    except CatalogError as error:
        fail(error)
    for warning in findings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if not embeds:
        typer.echo("info: no embedding model is installed: nothing can be added to datasets, nor found.", err=True)
    models, bundles = len(configs.models), len(configs.bundles)
    typer.echo(
        f"The settings are right, and so are {models} models and {bundles} bundles in "
        f"{settings.model_configs.absolute()}."
        + (f" {len(own)} personas are right in {settings.personas.absolute()}." if settings.personas else "")
    )


@app.command()
def show(config: ConfigFile = None) -> None:
    """List every setting: its variable, its value now, and what it does. Passwords in URLs are not shown."""
    settings = read_settings(config)
    table = Table(box=None, pad_edge=False)
    table.add_column("variable")
    table.add_column("value", overflow="fold")
    table.add_column("meaning")
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        table.add_row(f"{PREFIX}{name.upper()}", as_written(field, value), field.description or "")
    print_table(table, 0)


def read_settings(config: Path | None = None, **flags: object) -> Settings:
    """The settings, or the end of the command with a line for each wrong one."""
    if config is not None:
        os.environ[f"{PREFIX}CONFIG"] = str(config)
    try:
        return load_settings(**flags)
    except SettingsError as error:
        fail(error)
