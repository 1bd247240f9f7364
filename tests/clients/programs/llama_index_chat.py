"""LlamaIndex: an answer, a stream, a completion, and retrieval."""

import os

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

where = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"], "max_retries": 0}
chat = OpenAILike(model="gpt-4o-mini", is_chat_model=True, temperature=0, max_tokens=60, **where)
question = [ChatMessage(role="user", content="What is the capital of Japan?")]
assert "Tokyo" in chat.chat(question).message.content
assert "Tokyo" in "".join(piece.delta for piece in chat.stream_chat(question))
plain = OpenAILike(model="gpt-4o-mini", is_chat_model=False, temperature=0, max_tokens=8, **where)
assert plain.complete("The capital of Japan is").text.strip()

embeddings = OpenAILikeEmbedding(model_name="text-embedding-3-small", **where)
texts = ["A cat sleeps on the warm sofa.", "The rocket reached orbit.", "Bread is baked from flour."]
index = VectorStoreIndex.from_documents(
    [Document(text=text) for text in texts],
    embed_model=embeddings,
    transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0)],
)
(found,) = index.as_retriever(similarity_top_k=1).retrieve("Which animal is resting?")
assert found.text == texts[0], found
