"""LangChain: an answer, a stream, a tool call, a typed answer; retrieval by embeddings of token ids."""

from langchain_core.documents import Document
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class City(BaseModel):
    """A city and its country."""

    city: str
    country: str


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Sunny in {city}."


chat = ChatOpenAI(model="gpt-4o-mini", temperature=0, max_tokens=60, max_retries=0)
answer = chat.invoke("What is the capital of Japan?")
assert "Tokyo" in answer.content, answer
assert answer.usage_metadata["output_tokens"] > 0, answer.usage_metadata
pieces = list(chat.stream("What is the capital of Japan?"))
assert "Tokyo" in "".join(piece.content for piece in pieces), pieces
assert len(pieces) > 2, pieces
called = chat.bind_tools([weather], tool_choice="weather").invoke("How is the weather in Paris?")
assert [call["name"] for call in called.tool_calls] == ["weather"], called
assert set(called.tool_calls[0]["args"]) == {"city"}, called
typed = chat.with_structured_output(City, method="json_schema").invoke("Tokyo is the capital of Japan.")
assert isinstance(typed, City), typed

texts = [
    "A cat sleeps on the warm sofa.",
    "The rocket reached orbit after nine minutes.",
    "Bread is baked from flour, water and yeast.",
]
store = InMemoryVectorStore(OpenAIEmbeddings(model="text-embedding-3-small", max_retries=0))
store.add_documents([Document(text) for text in texts])
(found,) = store.similarity_search("Which animal is resting?", k=1)
assert found.page_content == texts[0], found
(found,) = store.similarity_search("How do you make a loaf?", k=1)
assert found.page_content == texts[2], found
