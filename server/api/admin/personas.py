"""/admin/v1/personas: listed, made, changed, deleted. What comes with the server or from a file can be hidden only."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, StrictInt
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import administration as answers
from server.api.body import read_json
from server.api.deps import KeyedDep, ServicesDep
from server.api.openapi import documented
from server.api.rows import answer, listing
from server.api.validation import Body
from server.errors import NotFound, Unavailable
from server.knowledge.personas import Personas
from server.knowledge.records import Persona

router = APIRouter()
MOST_BODY = 256 * 1024


class NewPersona(Body):
    """prompt: the system prompt; may be empty. id: the next free one by default."""

    model_config = ConfigDict(extra="forbid")

    name: str
    prompt: str
    description: str = ""
    id: StrictInt | None = None


class PersonaChange(Body):
    """What is not there, or null, stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    prompt: str | None = None
    description: str | None = None


async def get_personas(services: ServicesDep) -> Personas:
    """Raises Unavailable on a server that was put together without knowledge."""
    if services.knowledge is None:
        raise Unavailable("This server keeps no personas.")
    return services.knowledge.personas


PersonasDep = Annotated[Personas, Depends(get_personas)]


@router.post("/personas")
@documented(
    body=NewPersona,
    answer=answers.Persona,
    taken=True,
    examples={"a persona": {"name": "Clerk", "description": "Short answers.", "prompt": "You are a clerk. Be brief."}},
)
async def create_persona(request: Request, caller: KeyedDep, personas: PersonasDep) -> Response:
    """Make a persona. A number that is taken is refused: change that one instead."""
    body = await read_json(request, NewPersona, limit=MOST_BODY)
    made = await personas.create(
        name=body.name, prompt=body.prompt, description=body.description, persona_id=body.id, actor=caller.key_id
    )
    return answer(persona_row(made))


@router.get("/personas")
@documented(answer=answers.Personas)
async def list_personas(personas: PersonasDep) -> Response:
    """All that can be chosen, by number, with their prompts."""
    return listing([persona_row(persona) for persona in await personas.list()])


@router.get("/personas/{persona_id}")
@documented(answer=answers.Persona)
async def retrieve_persona(persona_id: str, personas: PersonasDep) -> Response:
    """One persona, by its number."""
    return answer(persona_row(await personas.get(_id(persona_id))))


@router.patch("/personas/{persona_id}")
@documented(
    body=PersonaChange,
    answer=answers.Persona,
    examples={"another prompt": {"prompt": "You are a helpful assistant of the ACME company."}},
)
async def change_persona(persona_id: str, request: Request, caller: KeyedDep, personas: PersonasDep) -> Response:
    """Change what is named. One that is built in or of a file is hidden by the changed one until that is deleted."""
    body = await read_json(request, PersonaChange, limit=MOST_BODY)
    changed = await personas.change(
        _id(persona_id), name=body.name, prompt=body.prompt, description=body.description, actor=caller.key_id
    )
    return answer(persona_row(changed))


@router.delete("/personas/{persona_id}")
@documented(answer=answers.DeletedPersona)
async def delete_persona(persona_id: str, caller: KeyedDep, personas: PersonasDep) -> Response:
    """Delete one that was made or changed here; what it hid is there again."""
    number = _id(persona_id)
    await personas.delete(number, actor=caller.key_id)
    try:
        now = persona_row(await personas.get(number))
    except NotFound:
        now = None
    return answer({"id": number, "deleted": True, "now": now})


def _id(text: str) -> int:
    """Raises NotFound for what is no number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise NotFound("There is no persona with this id.", param="id")
    return int(text)


def persona_row(persona: Persona) -> dict[str, Any]:
    return {
        "id": persona.id,
        "name": persona.name,
        "description": persona.description,
        "prompt": persona.prompt,
        "origin": persona.origin,
        "version": persona.version,
    }
