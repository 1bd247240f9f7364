"""pydantic-ai: a text agent, a typed one."""

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.settings import ModelSettings


class City(BaseModel):
    city: str


model = OpenAIChatModel("gpt-4o-mini")
settings = ModelSettings(temperature=0, max_tokens=60)
answer = Agent(model, model_settings=settings).run_sync("What is the capital of Japan?")
assert "Tokyo" in answer.output, answer
typed = Agent(model, output_type=NativeOutput(City), model_settings=settings).run_sync("Tokyo is the capital of Japan.")
assert isinstance(typed.output, City), typed
