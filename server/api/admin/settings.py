"""GET /admin/v1/settings: every setting as it is in force."""

from fastapi import APIRouter
from starlette.responses import Response

from server.api.answers import operating as answers
from server.api.deps import SettingsDep
from server.api.openapi import documented
from server.api.rows import listing
from server.settings import PREFIX, Settings, as_written

router = APIRouter()


@router.get("/settings")
@documented(answer=answers.SettingsInForce)
async def settings(in_force: SettingsDep) -> Response:
    """Every setting, with its value, its default, and where the value comes from. Passwords and tokens are starred."""
    return listing([setting_row(in_force, name) for name in Settings.model_fields])


def setting_row(settings: Settings, name: str) -> dict[str, object]:
    field = Settings.model_fields[name]
    value = getattr(settings, name)
    shown = as_written(field, value)
    return {
        "name": f"{PREFIX}{name.upper()}",
        "value": shown,
        "default": as_written(field, field.default),
        "source": settings.source(name),
        "secret": shown != as_written(field, value, secrets=True),
        "description": field.description or "",
    }
