"""instructor: typed answers by tools and by JSON schema.

Not its mode JSON, which puts the schema into the prompt: the starter model does not follow it.
"""

import instructor
from openai import OpenAI
from pydantic import BaseModel, Field


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(OpenAI(max_retries=0), mode=mode)
    person = client.chat.completions.create(
        model="gpt-4o-mini",
        response_model=Person,
        messages=[{"role": "user", "content": "Extract: Anna is 30 years old. Answer as JSON with name and age."}],
        max_tokens=100,
        temperature=0,
        max_retries=1,
    )
    assert isinstance(person, Person), (mode, person)
